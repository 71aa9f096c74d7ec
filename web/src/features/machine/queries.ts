// The machine that the server runs on.
import { queryOptions } from "@tanstack/react-query";
import { answer, api } from "@/api/client";

export const machineQuery = queryOptions({
  queryKey: ["machine"],
  queryFn: ({ signal }) => answer(api.GET("/api/v1/machine", { signal })),
  refetchInterval: 30_000,
});

export const devicesQuery = queryOptions({
  queryKey: ["devices"],
  queryFn: ({ signal }) => answer(api.GET("/api/v1/devices", { signal })),
  staleTime: 60_000,
});

export const doctorQuery = queryOptions({
  queryKey: ["doctor"],
  queryFn: ({ signal }) => answer(api.GET("/api/v1/doctor", { signal })),
  staleTime: 60_000,
});
