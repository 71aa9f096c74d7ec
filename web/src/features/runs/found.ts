// Runs for a list to choose from: the newest, and what the server finds among all for what is typed.
import { useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { foundRunsQuery, type RunSummary, runsQuery } from "./queries";

const SETTLED = 150;

export function useFoundRuns(typed: string): RunSummary[] {
  const wanted = typed.replace("#", " #").trim();
  const [words, setWords] = useState(wanted);
  useEffect(() => {
    const timer = setTimeout(() => setWords(wanted), SETTLED);
    return () => clearTimeout(timer);
  }, [wanted]);
  const { data: newest = [] } = useQuery(runsQuery);
  const { data: found = [] } = useQuery(foundRunsQuery(words));
  const listed = new Set(newest.map((run) => run.run));
  return [...newest, ...found.filter((run) => !listed.has(run.run))];
}
