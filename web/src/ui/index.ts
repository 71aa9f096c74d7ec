// The design system of the page. A screen is built of these.
export { Ago } from "./ago";
export { Chips } from "./chips";
export { Code, Copy } from "./copy";
export { EmptyState } from "./empty";
export { ErrorCard } from "./error";
export { Figure } from "./figure";
export { ago, bytes, count, duration, measure, moment, percent } from "./format";
export { KeyValue } from "./keyvalue";
export { Page, useDocumentTitle } from "./page";
export { Progress } from "./progress";
export { Rich } from "./rich";
export { Section } from "./section";
export { type Option, Segments } from "./segments";
export { Block, Lines, Rows } from "./skeleton";
export { Sparkline } from "./sparkline";
export { StatusBadge } from "./status";
export { type Column, Table } from "./table";
export { tell, warn } from "./toast";
