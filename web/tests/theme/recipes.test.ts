import { recipes as allRecipes, slotRecipes as allSlots } from "@chakra-ui/react/theme";
import { expect, test } from "vitest";
import { recipes, slotRecipes } from "@/theme/recipes";
import { sources } from "../sources";

const PARTS: Record<string, string[]> = {
  button: ["spinner"], // shown while it loads
  iconButton: ["button", "spinner"],
  closeButton: ["button", "spinner"],
  skeletonText: ["skeleton"],
  skeletonCircle: ["skeleton"],
  checkbox: ["checkmark"],
  radioGroup: ["radiomark"],
  nativeSelect: ["icon"],
  menu: ["icon"],
};

const camel = (name: string) => name.charAt(0).toLowerCase() + name.slice(1);

const imported = new Set(
  sources().flatMap(({ text }) =>
    [...text.matchAll(/import \{([^}]*)\} from "@chakra-ui\/react"/g)].flatMap((found) =>
      (found[1] ?? "").split(",").map((name) => camel(name.replace(/\btype\b/, "").trim())),
    ),
  ),
);
const used = new Set([...imported].flatMap((name) => [name, ...(PARTS[name] ?? [])]));

test("every component of Chakra that the page uses has its recipe", () => {
  const missing = [...used].filter(
    (name) => (name in allRecipes && !(name in recipes)) || (name in allSlots && !(name in slotRecipes)),
  );
  expect(missing).toEqual([]);
});

test("no component has a recipe that the page does not use: they are all in the first load", () => {
  expect([...Object.keys(recipes), ...Object.keys(slotRecipes)].filter((name) => !used.has(name))).toEqual([]);
});
