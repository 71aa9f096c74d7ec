// Sends a file and says how far it is. fetch cannot tell that, so this is a request of the older kind.

import type { Shape } from "@/api/client";
import { asProblem, Problem, problemOf } from "@/api/problem";
import { csrfToken, hasNewCsrf } from "@/api/transport";

export type Record = Shape<"UploadRecord">;

export interface Upload {
  done: Promise<Record>;
  cancel: () => void;
}

/** Uploads a file as the next free version of its name. `onProgress` gets a share of 0 to 1. */
export function upload(file: File, onProgress: (share: number) => void): Upload {
  const request = new XMLHttpRequest();
  const done = new Promise<Record>((resolve, reject: (problem: Problem) => void) => {
    request.upload.onprogress = (event) => event.lengthComputable && onProgress(event.loaded / event.total);
    request.onerror = () => reject(new Problem(0, "", "", "", ""));
    request.onabort = () => reject(new Problem(-1, "", "", "cancelled", ""));
    const start = () => {
      request.open("PUT", `/api/v1/datasets/${encodeURIComponent(file.name)}?existing=version`);
      request.setRequestHeader("X-CSRF-Token", csrfToken());
      request.setRequestHeader("content-type", "application/octet-stream");
      request.send(file);
    };
    let isFirst = true;
    request.onload = async () => {
      const wasFirst = isFirst;
      isFirst = false;
      try {
        if (wasFirst && request.status === 403 && (await hasNewCsrf())) start();
        else resolve(await recordIn(request));
      } catch (error) {
        reject(asProblem(error));
      }
    };
    start();
  });
  return { done, cancel: () => request.abort() };
}

/** What the server says of the file it has. Errors: what it says instead, also where that is no JSON. */
async function recordIn(request: XMLHttpRequest): Promise<Record> {
  const { status, responseText: text } = request;
  if (status >= 300) {
    const headers = { "retry-after": request.getResponseHeader("retry-after") ?? "" };
    throw await problemOf(new Response(text, { status, headers }));
  }
  const found = JSON.parse(text) as Partial<Record> | null;
  if (typeof found?.name !== "string") throw new Error(text.slice(0, 200));
  return found as Record;
}
