// A client with axios: node node.mjs form|json. Each answer becomes a line of JSON.
import axios from "axios";

const { API_URL, API_KEY, S3_ENDPOINT, S3_ACCESS_KEY_ID, S3_SECRET_ACCESS_KEY, S3_BUCKET } = process.env;
const asForm = process.argv[2] === "form";
const api = axios.create({ baseURL: API_URL, params: { api_key: API_KEY }, timeout: 60_000 });

async function send(request) {
  try {
    return await api.request(request);
  } catch (error) {
    if (!error.response) throw error;
    return error.response;
  }
}

async function call(name, method, url, fields, params) {
  const data = fields && asForm ? new URLSearchParams(fields) : fields;
  const { status, headers, data: body } = await send({ method, url, data, params });
  console.log(JSON.stringify({ call: name, status, trace_id: headers["x-trace-id"], body }));
  return body;
}

const created = await call("create", "POST", "/destinations", {
  name: "Zoë & Söhne + 100 %",
  enabled: true,
  type: "s3compatible",
  s3_endpoint: S3_ENDPOINT,
  s3_access_key_id: S3_ACCESS_KEY_ID,
  s3_secret_access_key: S3_SECRET_ACCESS_KEY,
  s3_bucket_name: S3_BUCKET,
  s3_path_prefix: "exports/%COLLECTION_NAME%/%DATE%",
});
const here = `/destinations/${created.destination.id}`;
await call("list", "GET", "/destinations");
await call("rename", "PUT", here, { name: "Größe = 日本" });
await call("disable", "PUT", here, { enabled: false });
await call("enable", "PUT", here, { enabled: true });
await call("wrong-secret", "PUT", here, { s3_secret_access_key: "wrong" });
await call("unchanged", "GET", "/destinations");
await call("delete", "DELETE", here);
await call("delete-again", "DELETE", here);
await call("unknown-key", "GET", "/destinations", undefined, { api_key: "unknown" });
