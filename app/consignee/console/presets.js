// Stores that speak the S3 protocol, as far as their own documentation says for certain where they are.
//
// endpoint: with {region} and {account} in it; regions: [value, where]; account: what to ask for; signing: the region to sign for
// ("same": the chosen one, "": found out by the service); addressing: how the bucket is named; rights: where a policy can't be pasted.

const CITIES = {
  akamai: "us-east-1 Newark|us-southeast-1 Atlanta|us-ord-1 Chicago|us-iad-1 Washington, DC|us-sea-1 Seattle|us-lax-1 Los Angeles|us-mia-1 Miami|eu-central-1 Frankfurt|fr-par-1 Paris|nl-ams-1 Amsterdam|se-sto-1 Stockholm|it-mil-1 Milan|ap-south-1 Singapore|in-maa-1 Chennai|id-cgk-1 Jakarta|jp-osa-1 Osaka|br-gru-1 São Paulo|es-mad-1 Madrid|gb-lon-1 London|sg-sin-1 Singapore 2|au-mel-1 Melbourne",
  b2: "us-west-000 US West|us-west-001 US West|us-west-002 US West|us-west-004 US West|us-east-005 US East|ca-east-006 Canada East|eu-central-003 EU Central",
  spaces: "nyc3 New York|sfo2 San Francisco|sfo3 San Francisco|tor1 Toronto|ams3 Amsterdam|fra1 Frankfurt|lon1 London|blr1 Bangalore|sgp1 Singapore|syd1 Sydney",
  exoscale: "ch-gva-2 Geneva|ch-dk-2 Zurich|de-fra-1 Frankfurt|de-muc-1 Munich|at-vie-1 Vienna|at-vie-2 Vienna|bg-sof-1 Sofia",
  hetzner: "fsn1 Falkenstein|nbg1 Nuremberg|hel1 Helsinki",
  ibm: "us-south Dallas|us-east Washington, DC|ca-tor Toronto|br-sao São Paulo|eu-de Frankfurt|eu-gb London|eu-es Madrid|jp-tok Tokyo|jp-osa Osaka|au-syd Sydney",
  oracle: "us-ashburn-1 Ashburn|us-phoenix-1 Phoenix|ca-toronto-1 Toronto|sa-saopaulo-1 São Paulo|eu-frankfurt-1 Frankfurt|eu-amsterdam-1 Amsterdam|eu-zurich-1 Zurich|uk-london-1 London|ap-mumbai-1 Mumbai|ap-singapore-1 Singapore|ap-sydney-1 Sydney|ap-tokyo-1 Tokyo",
  ovh: "gra Gravelines|sbg Strasbourg|rbx Roubaix|eu-west-par Paris|de Frankfurt|uk London|waw Warsaw|bhs Beauharnois|ca-east-tor Toronto|sgp Singapore",
  scaleway: "fr-par Paris|nl-ams Amsterdam|pl-waw Warsaw|it-mil Milan",
  vultr: "ewr1 New Jersey|sjc1 Silicon Valley|ams1 Amsterdam|blr1 Bangalore|del1 Delhi|sgp1 Singapore",
  wasabi: "us-east-1 Virginia|us-east-2 Virginia|us-central-1 Texas|us-west-1 Oregon|ca-central-1 Toronto|eu-central-1 Amsterdam|eu-central-2 Frankfurt|eu-west-1 London|eu-west-2 Paris|eu-south-1 Milan|ap-northeast-1 Tokyo|ap-northeast-2 Osaka|ap-southeast-1 Singapore|ap-southeast-2 Sydney",
};

const regions = (text) => text.split("|").map((one) => [one.slice(0, one.indexOf(" ")), one.slice(one.indexOf(" ") + 1)]);

export const PRESETS = [
  { id: "akamai", name: "Akamai (Linode) Object Storage", endpoint: "https://{region}.linodeobjects.com", signing: "same" },
  {
    id: "b2", name: "Backblaze B2", endpoint: "https://s3.{region}.backblazeb2.com", signing: "same",
    rights: "In Backblaze, make an application key that is limited to this bucket, with “Read and Write” access.",
  },
  {
    id: "r2", name: "Cloudflare R2", endpoint: "https://{account}{region}.r2.cloudflarestorage.com", signing: "auto",
    account: ["Account ID", "32 letters and digits; on the R2 overview page."], regionLabel: "Jurisdiction",
    regions: [["", "Default"], [".eu", "European Union"], [".fedramp", "FedRAMP"]],
    rights: "In Cloudflare, make an R2 API token with “Object Read & Write”, applied to this bucket only.",
  },
  {
    id: "spaces", name: "DigitalOcean Spaces", endpoint: "https://{region}.digitaloceanspaces.com", signing: "",
    rights: "In DigitalOcean, make an access key with limited access: “Read/Write/Delete” on this bucket only.",
  },
  { id: "exoscale", name: "Exoscale SOS", endpoint: "https://sos-{region}.exo.io", signing: "same", regionLabel: "Zone" },
  { id: "hetzner", name: "Hetzner Object Storage", endpoint: "https://{region}.your-objectstorage.com", signing: "same", regionLabel: "Location" },
  { id: "ibm", name: "IBM Cloud Object Storage", endpoint: "https://s3.{region}.cloud-object-storage.appdomain.cloud", signing: "" },
  { id: "minio", name: "MinIO or Ceph", endpoint: "", example: "https://minio.example.com:9000" },
  {
    id: "oracle", name: "Oracle Cloud Object Storage", endpoint: "https://{account}.compat.objectstorage.{region}.oraclecloud.com",
    signing: "same", addressing: "path", account: ["Namespace", "The tenancy's Object Storage namespace; under Tenancy details."],
  },
  { id: "ovh", name: "OVHcloud Object Storage", endpoint: "https://s3.{region}.io.cloud.ovh.net", signing: "same" },
  {
    id: "scaleway", name: "Scaleway Object Storage", endpoint: "https://s3.{region}.scw.cloud", signing: "same",
    rights: "In Scaleway, give the application the permission sets ObjectStorageObjectsWrite and ObjectStorageObjectsDelete.",
  },
  { id: "storj", name: "Storj", endpoint: "https://gateway.storjshare.io", signing: "" },
  { id: "vultr", name: "Vultr Object Storage", endpoint: "https://{region}.vultrobjects.com", signing: "" },
  { id: "wasabi", name: "Wasabi", endpoint: "https://s3.{region}.wasabisys.com", signing: "same" },
].map((one) => ({ regions: CITIES[one.id] ? regions(CITIES[one.id]) : [], ...one }));

// The fields that a preset gives for a region and an account; an endpoint only once all that it needs is known.
export function located(preset, { region = "", account = "" }) {
  const needed = preset.endpoint.includes("{region}") && !preset.regions.some(([value]) => value === "");
  const whole = preset.endpoint && (!needed || region) && (!preset.account || account);
  return {
    s3_endpoint: whole ? preset.endpoint.replace("{region}", region).replace("{account}", account) : "",
    s3_region: preset.signing === "same" ? region : preset.signing ?? "",
    s3_addressing_style: preset.addressing ?? "",
  };
}
