// All addresses of the page. A screen is one file of this folder, fetched when it is first opened; Home is there at once.
import { createRootRoute, createRoute, createRouter, lazyRouteComponent, redirect } from "@tanstack/react-router";
import { Problem } from "@/api/problem";
import { queries } from "@/api/queries";
import { sessionQuery } from "@/api/session";
import { onExpired } from "@/api/transport";
import { compareSearch } from "@/features/compare/search";
import { type Order, orderOf } from "@/features/evaluations/order";
import { machineQuery } from "@/features/machine/queries";
import { mergeSearch } from "@/features/models/mergeSearch";
import { runSearch } from "@/features/run/search";
import { type RunFilters, runsQuery } from "@/features/runs/queries";
import { Shell } from "@/shell/shell";
import { focusTitle } from "@/ui/focus";
import { Broken, NotFound } from "./failures";
import Home from "./home";

const text = (value: unknown): string | undefined => (typeof value === "string" && value ? value : undefined);

/** Where a new run begins, and what takes the place of its data and its model. */
export interface NewSearch {
  recipe?: string;
  stage?: string;
  from?: string;
  /** A dataset by its name: what it opens is by its rows. */
  data?: string;
  source?: string;
  base?: string;
  model?: string;
  /** Whether all settings are shown. */
  view?: "all";
}

const root = createRootRoute({ notFoundComponent: NotFound, errorComponent: Broken });

const login = createRoute({
  getParentRoute: () => root,
  path: "/login",
  validateSearch: (search: Record<string, unknown>) => ({ next: text(search.next) }),
  component: lazyRouteComponent(() => import("./login")),
});

const shell = createRoute({
  getParentRoute: () => root,
  id: "shell",
  component: Shell,
  beforeLoad: async ({ location }) => {
    try {
      await queries.ensureQueryData(sessionQuery);
    } catch (error) {
      if (error instanceof Problem && error.status === 401)
        throw redirect({ to: "/login", search: { next: location.href === "/" ? undefined : location.href } });
      throw error;
    }
  },
});

const under = () => shell;

const MOMENT = 250;

/** Waits a moment for what Home shows, so that it is mostly drawn once and nothing in it jumps. */
const homeInOne = async () => {
  const asked = [queries.ensureQueryData(runsQuery), queries.ensureQueryData(machineQuery)];
  await Promise.race([Promise.allSettled(asked), new Promise((resolve) => setTimeout(resolve, MOMENT))]);
};
const home = createRoute({ getParentRoute: under, path: "/", component: Home, loader: homeInOne });
const fresh = createRoute({
  getParentRoute: under,
  path: "/new",
  validateSearch: (search: Record<string, unknown>): NewSearch => ({
    recipe: text(search.recipe),
    stage: text(search.stage),
    from: text(search.from),
    data: text(search.data),
    source: text(search.source),
    base: text(search.base),
    model: text(search.model),
    view: search.view === "all" ? "all" : undefined,
  }),
  component: lazyRouteComponent(() => import("./new")),
});
const runs = createRoute({
  getParentRoute: under,
  path: "/runs",
  validateSearch: (search: Record<string, unknown>): RunFilters => ({
    q: text(search.q),
    state: text(search.state),
    recipe: text(search.recipe),
    stage: text(search.stage),
  }),
  component: lazyRouteComponent(() => import("./runs")),
});
const run = createRoute({
  getParentRoute: under,
  path: "/runs/$recipe/$number",
  validateSearch: runSearch,
  component: lazyRouteComponent(() => import("./run")),
});
const jobs = createRoute({
  getParentRoute: under,
  path: "/jobs",
  component: lazyRouteComponent(() => import("./jobs")),
});
const compare = createRoute({
  getParentRoute: under,
  path: "/compare",
  validateSearch: compareSearch,
  component: lazyRouteComponent(() => import("./compare")),
});
const data = createRoute({
  getParentRoute: under,
  path: "/data",
  component: lazyRouteComponent(() => import("./data")),
});
const dataset = createRoute({
  getParentRoute: under,
  path: "/data/$name",
  validateSearch: (search: Record<string, unknown>): { tab?: string; split?: string; row?: number } => ({
    tab: text(search.tab),
    split: text(search.split),
    row: Number.isSafeInteger(search.row) && Number(search.row) > 0 ? Number(search.row) : undefined,
  }),
  component: lazyRouteComponent(() => import("./dataset")),
});
const playground = createRoute({
  getParentRoute: under,
  path: "/playground",
  validateSearch: (search: Record<string, unknown>): { models?: string; chat?: string } => ({
    models: text(search.models),
    chat: text(search.chat),
  }),
  component: lazyRouteComponent(() => import("./playground")),
});
const evaluate = createRoute({
  getParentRoute: under,
  path: "/evaluate",
  validateSearch: (search: Record<string, unknown>): { ref?: string; order?: Order; q?: string } => ({
    ref: text(search.ref),
    order: orderOf(search.order),
    q: text(search.q),
  }),
  component: lazyRouteComponent(() => import("./evaluate")),
});
const adapters = createRoute({
  getParentRoute: under,
  path: "/adapters",
  validateSearch: (search: Record<string, unknown>): { kind?: string; ref?: string } => ({
    kind: text(search.kind),
    ref: text(search.ref),
  }),
  component: lazyRouteComponent(() => import("./adapters")),
});
const merge = createRoute({
  getParentRoute: under,
  path: "/merge",
  validateSearch: mergeSearch,
  component: lazyRouteComponent(() => import("./merge")),
});
const exporting = createRoute({
  getParentRoute: under,
  path: "/export",
  validateSearch: (search: Record<string, unknown>): { ref?: string } => ({ ref: text(search.ref) }),
  component: lazyRouteComponent(() => import("./export")),
});
const settings = createRoute({
  getParentRoute: under,
  path: "/settings",
  component: lazyRouteComponent(() => import("./settings")),
});

const nowhere = createRoute({ getParentRoute: under, path: "$", component: NotFound });

const screens = [
  home,
  fresh,
  runs,
  run,
  jobs,
  compare,
  data,
  dataset,
  playground,
  evaluate,
  adapters,
  merge,
  exporting,
  settings,
  nowhere,
] as const;

export const router = createRouter({
  routeTree: root.addChildren([login, shell.addChildren([...screens])]),
  defaultPreload: "intent",
  scrollRestoration: true,
  defaultErrorComponent: Broken,
  defaultNotFoundComponent: NotFound,
});

router.subscribe("onRendered", ({ fromLocation, pathChanged }) => {
  if (fromLocation && pathChanged) focusTitle();
});

onExpired(() => {
  queries.removeQueries({ queryKey: ["session"] });
  void router.invalidate();
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
