// The HTTP API. The key travels in a header alone, never in a URL.

const OFFLINE = "The service can't be reached. Check that it runs and that you are online.";

export class ApiError extends Error {
  constructor(status, answer, trace) {
    const info = answer?.request_info ?? {};
    super(info.message || `The service answered with status ${status}.`);
    Object.assign(this, { status, trace, answer: answer ?? {}, code: info.code ?? "", errors: answer?.errors ?? {} });
  }
}

export class Api {
  constructor(base, key) {
    this.base = base;
    this.key = key;
    this.refused = () => {}; // called when the key is not known (any more)
  }

  url(path, query) {
    const url = new URL(path.replace(/^\//, ""), this.base);
    for (const [name, value] of Object.entries(query ?? {})) {
      if (value !== "" && value !== null && value !== undefined) url.searchParams.set(name, value);
    }
    return url;
  }

  headers(more) {
    return this.key ? { Authorization: `Bearer ${this.key}`, ...more } : { ...more };
  }

  get(path, query, signal) {
    return this.json(this.url(path, query), { signal });
  }

  // method: "POST", "PUT" or "DELETE"; the body becomes JSON.
  send(method, path, body, signal, more) {
    const { headers, ...rest } = encoded(body);
    return this.json(this.url(path), { method, signal, ...rest, headers: { ...headers, ...more } });
  }

  async json(url, options) {
    const response = await this.fetch(url, options);
    return this.parsed(await response.text(), response.status, response.headers.get("X-Trace-ID"));
  }

  // A POST that answers line by line (NDJSON): onLine gets each one as it comes.
  async lines(method, path, body, onLine, signal) {
    const { headers, ...rest } = encoded(body);
    const response = await this.streamed(this.url(path), { method, signal, ...rest, headers: { ...headers, Accept: "application/x-ndjson" } });
    for await (const line of split(response.body, "\n")) if (line.trim()) onLine(JSON.parse(line));
  }

  // Server-sent events: onEvent gets { event, data } for each one, until one named "end" came; a broken connection is opened again.
  async events(path, onEvent, signal) {
    for (let wait = 1000; ; wait = Math.min(wait * 2, 15000)) {
      try {
        const response = await this.streamed(this.url(path), { signal, headers: { Accept: "text/event-stream" } });
        wait = 1000;
        for await (const text of split(response.body, "\n\n")) {
          const event = parsedEvent(text);
          if (event?.event === "end") return;
          if (event) onEvent(event);
        }
      } catch (error) {
        if (signal?.aborted || (error.status >= 400 && error.status < 500 && error.status !== 429)) throw error;
      }
      await pause(wait, signal);
    }
  }

  // Files, as multipart/form-data; onProgress gets { sent, total } in bytes. fetch can't tell that, hence XMLHttpRequest.
  upload(path, formData, onProgress, signal, headers) {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      request.open("POST", this.url(path));
      for (const [name, value] of Object.entries(this.headers(headers))) request.setRequestHeader(name, value);
      request.upload.onprogress = (event) => onProgress?.({ sent: event.loaded, total: event.total });
      request.onerror = () => reject(new ApiError(0, failed(OFFLINE)));
      request.onabort = () => reject(new DOMException("The upload was stopped.", "AbortError"));
      request.onload = () => {
        try {
          resolve(this.parsed(request.responseText, request.status, request.getResponseHeader("X-Trace-ID")));
        } catch (error) {
          reject(error);
        }
      };
      signal?.addEventListener("abort", () => request.abort(), { once: true });
      request.send(formData);
    });
  }

  async fetch(url, options = {}) {
    try {
      return await fetch(url, { ...options, headers: this.headers(options.headers), cache: "no-store", redirect: "error" });
    } catch (error) {
      if (options.signal?.aborted) throw error;
      throw new ApiError(0, failed(OFFLINE));
    }
  }

  async streamed(url, options) {
    const response = await this.fetch(url, options);
    if (!response.ok) this.parsed(await response.text(), response.status, response.headers.get("X-Trace-ID"));
    return response;
  }

  parsed(text, status, trace) {
    let answer = null;
    try {
      answer = JSON.parse(text);
    } catch {
      throw new ApiError(status, failed(`The answer (status ${status}) is not from this service.`), trace);
    }
    if (status >= 200 && status < 300) return answer;
    const error = new ApiError(status, answer, trace);
    if (status === 401) this.refused();
    throw error;
  }
}

function failed(message) {
  return { request_info: { success: false, message } };
}

function encoded(body) {
  return body === undefined ? {} : { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } };
}

async function* split(stream, separator) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
      const parts = (rest + piece.value).split(separator);
      rest = parts.pop();
      yield* parts;
    }
    if (rest.trim()) yield rest;
  } finally {
    reader.cancel().catch(() => {});
  }
}

function parsedEvent(text) {
  const lines = text.split("\n").filter((line) => !line.startsWith(":"));
  const of = (name) => lines.filter((line) => line.startsWith(`${name}: `)).map((line) => line.slice(name.length + 2)).join("\n");
  const data = of("data");
  return data ? { event: of("event") || "message", data: JSON.parse(data) } : null;
}

function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const stop = () => { clearTimeout(timer); reject(new DOMException("The page was left.", "AbortError")); };
    const timer = setTimeout(() => { signal?.removeEventListener("abort", stop); resolve(); }, milliseconds);
    if (signal?.aborted) stop();
    else signal?.addEventListener("abort", stop, { once: true });
  });
}
