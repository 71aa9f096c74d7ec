// The screen *Run*.
import { getRouteApi } from "@tanstack/react-router";
import { RunScreen } from "@/features/run/screen";

const route = getRouteApi("/shell/runs/$recipe/$number");

export default function Run() {
  const { recipe, number } = route.useParams();
  const search = route.useSearch();
  return <RunScreen key={`${recipe}/${number}`} recipe={recipe} number={number} search={search} />;
}
