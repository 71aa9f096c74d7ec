// Sends a file and says how far it is. fetch cannot tell that, so this is a request of the older kind.

import type { Shape } from "@/api/client";
import { Problem, problemOf } from "@/api/problem";
import { csrfToken } from "@/api/transport";

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
    request.onload = async () => {
      if (request.status < 300) resolve(JSON.parse(request.responseText) as Record);
      else {
        const headers = { "retry-after": request.getResponseHeader("retry-after") ?? "" };
        reject(await problemOf(new Response(request.responseText, { status: request.status, headers })));
      }
    };
    request.open("PUT", `/api/v1/datasets/${encodeURIComponent(file.name)}?existing=version`);
    request.setRequestHeader("X-CSRF-Token", csrfToken());
    request.setRequestHeader("content-type", "application/octet-stream");
    request.send(file);
  });
  return { done, cancel: () => request.abort() };
}
