// The clock of the server: times of runs are its own, and a browser on another machine may be minutes off.
const CLOSE = 2; // the header has whole seconds, and a reply takes a moment
let ahead = 0;

/** Learns from the `Date` of a reply how far the server's clock is ahead. */
export function noteDate(date: string | null): void {
  const said = date === null ? Number.NaN : Date.parse(date) / 1000 + 0.5;
  if (!Number.isFinite(said)) return;
  const found = said - Date.now() / 1000;
  if (Math.abs(found - ahead) > CLOSE) ahead = Math.abs(found) > CLOSE ? found : 0;
}

/** The time on the server: seconds since 1970. */
export const serverNow = (): number => Date.now() / 1000 + ahead;
