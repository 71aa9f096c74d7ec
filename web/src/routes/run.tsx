// The screen *Run*.
import { getRouteApi } from "@tanstack/react-router";
import { RunScreen } from "@/features/run/screen";
import { NotFound } from "./failures";

const route = getRouteApi("/shell/runs/$recipe/$number");

export default function Run() {
  const { recipe, number } = route.useParams();
  const search = route.useSearch();
  if (!/^\d{1,9}$/.test(number)) return <NotFound />;
  return <RunScreen key={`${recipe}/${number}`} recipe={recipe} number={number} search={search} />;
}
