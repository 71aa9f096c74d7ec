// The bounds of a number in words.
import { useTranslation } from "react-i18next";
import type { Bounds, Shape } from "./schema";
import { numeral } from "./values";

const LARGEST = 2 ** 31 - 1;

const boundsOf = (shape: Shape): Bounds | null => {
  if (shape.type === "number") return shape.bounds;
  if (shape.type !== "either") return null;
  const number = shape.shapes.find((one) => one.type === "number");
  return number?.type === "number" ? number.bounds : null;
};

/** `1 to 1,024`, `above 0`; nothing where every number will do. The largest number of the format is no bound. */
export function useBounds(shape: Shape): string {
  const { t } = useTranslation();
  const bounds = boundsOf(shape);
  if (!bounds) return "";
  const { least, above, below } = bounds;
  const most = bounds.most !== undefined && bounds.most < LARGEST ? bounds.most : undefined;
  if (least !== undefined && most !== undefined)
    return t("form.between", { least: numeral(least), most: numeral(most) });
  return [
    least !== undefined && t("form.atLeast", { value: numeral(least) }),
    above !== undefined && t("form.above", { value: numeral(above) }),
    most !== undefined && t("form.atMost", { value: numeral(most) }),
    below !== undefined && t("form.below", { value: numeral(below) }),
  ]
    .filter(Boolean)
    .join(", ");
}
