// The design system of the page. A screen is built of these.
export { Code, Copy } from "./copy";
export { EmptyState } from "./empty";
export { ErrorCard } from "./error";
export { KeyValue } from "./keyvalue";
export { Page, useDocumentTitle } from "./page";
export { Rich } from "./rich";
export { Section } from "./section";
export { Block, Lines, Rows } from "./skeleton";
export { StatusBadge } from "./status";
export { type Column, Table } from "./table";
export { tell, warn } from "./toast";
