import { expect, test } from "vitest";
import { landing } from "@/features/jobs/queue";

const jobs = (...ids: number[]) => ids.map((id) => ({ id }));

test("a job lands before the one that stood at its place", () => {
  const all = jobs(1, 2, 3, 4);
  expect(landing(all, 1, 2, all)).toBe(4);
  expect(landing(all, 1, 3, all)).toBe(null);
  expect(landing(all, 4, 0, all)).toBe(1);
});

test("a job that starts or comes while another is dragged does not move where that lands", () => {
  const shown = jobs(1, 2, 3, 4);
  expect(landing(shown, 4, 1, jobs(2, 3, 4))).toBe(2);
  expect(landing(shown, 4, 1, jobs(3, 4))).toBe(3);
  expect(landing(shown, 1, 3, jobs(1, 2, 3, 4, 5))).toBe(5);
});
