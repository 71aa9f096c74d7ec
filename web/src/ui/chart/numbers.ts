// Numbers of a chart: few digits, and as wide after as before, since they change while one reads.

const MINUS = "\u2212";

/** Four significant digits; very small and very large ones as a power of ten. */
export function reading(value: number | null | undefined): string {
  if (value === null || value === undefined) return "–";
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : `${MINUS}∞`;
  if (value === 0) return "0";
  const size = Math.abs(value);
  const sign = value < 0 ? MINUS : "";
  if (size < 1e-3) return sign + power(size);
  if (size < 10_000)
    return sign + size.toFixed(size >= 1000 ? 0 : size >= 100 ? 1 : size >= 10 ? 2 : size >= 0.1 ? 3 : 4);
  return sign + compact(size);
}

/** Of a size above 0: `5.04e−5`. */
export function power(size: number): string {
  const [digits = "", exponent = ""] = size.toExponential(2).split("e");
  return `${digits.replace(/\.?0+$/, "")}e${exponent.replace("+", "").replace("-", MINUS)}`;
}

/** `12.3k`, `4.56M`. */
function compact(size: number): string {
  for (const [unit, letter] of [
    [1e12, "T"],
    [1e9, "G"],
    [1e6, "M"],
    [1e3, "k"],
  ] as const)
    if (size >= unit) {
      const scaled = size / unit;
      return `${scaled >= 100 ? scaled.toFixed(0) : scaled >= 10 ? scaled.toFixed(1) : scaled.toFixed(2)}${letter}`;
    }
  return String(size);
}

/** A label of an axis. */
export function tick(value: number): string {
  if (value === 0) return "0";
  const size = Math.abs(value);
  const sign = value < 0 ? MINUS : "";
  if (size >= 10_000)
    return (
      sign +
      compact(size)
        .replace(/\.0+(?=[a-zA-Z])/, "")
        .replace(/(\.\d*?)0+(?=[a-zA-Z])/, "$1")
    );
  if (size < 1e-3) return sign + power(size);
  return sign + String(Number(size.toPrecision(6)));
}

/** How much an average keeps of the one before, by how many points there are: over few it would lag behind. */
export const smoothingFor = (points: number): number =>
  points < 40 ? 0 : points < 200 ? 0.6 : points < 2000 ? 0.9 : 0.97;
