// The screens of the menu, in its order.
import {
  ArrowLeftRight,
  Blocks,
  Combine,
  Database,
  House,
  ListOrdered,
  type LucideIcon,
  MessagesSquare,
  PackageOpen,
  Play,
  Rows3,
  Settings,
  Target,
} from "lucide-react";

export interface MenuItem {
  key:
    | "home"
    | "new"
    | "runs"
    | "jobs"
    | "compare"
    | "data"
    | "playground"
    | "evaluate"
    | "adapters"
    | "merge"
    | "export"
    | "settings";
  to:
    | "/"
    | "/new"
    | "/runs"
    | "/jobs"
    | "/compare"
    | "/data"
    | "/playground"
    | "/evaluate"
    | "/adapters"
    | "/merge"
    | "/export"
    | "/settings";
  icon: LucideIcon;
}

export const WORK: readonly MenuItem[] = [
  { key: "home", to: "/", icon: House },
  { key: "new", to: "/new", icon: Play },
  { key: "runs", to: "/runs", icon: Rows3 },
  { key: "jobs", to: "/jobs", icon: ListOrdered },
  { key: "compare", to: "/compare", icon: ArrowLeftRight },
  { key: "data", to: "/data", icon: Database },
];
export const MODELS: readonly MenuItem[] = [
  { key: "playground", to: "/playground", icon: MessagesSquare },
  { key: "evaluate", to: "/evaluate", icon: Target },
  { key: "adapters", to: "/adapters", icon: Blocks },
  { key: "merge", to: "/merge", icon: Combine },
  { key: "export", to: "/export", icon: PackageOpen },
];
export const SETTINGS: MenuItem = { key: "settings", to: "/settings", icon: Settings };
export const MENU: readonly MenuItem[] = [...WORK, ...MODELS, SETTINGS];
