// A table that stays smooth with a hundred thousand rows: only those in sight are in the document.
import { Box } from "@chakra-ui/react";
import { useVirtualizer } from "@tanstack/react-virtual";
import { type KeyboardEvent, type ReactNode, useEffect, useRef, useState } from "react";

export interface Column<Row> {
  key: string;
  title: ReactNode;
  /** A width of CSS grid: `120px`, `1fr`, `minmax(160px, 2fr)`. */
  width: string;
  align?: "start" | "end";
  /** Not shown on a phone. */
  wideOnly?: boolean;
  cell: (row: Row, at: number) => ReactNode;
}

export interface TableProps<Row> {
  label: string;
  rows: readonly Row[];
  columns: readonly Column<Row>[];
  keyOf: (row: Row, at: number) => string;
  rowHeight?: number;
  /** The height of the part that scrolls; without it the page scrolls, and all rows are drawn. */
  height?: string;
  onOpen?: (row: Row) => void;
  /** The row whose details are shown. */
  isCurrent?: (row: Row) => boolean;
  empty?: ReactNode;
  /** Called when the last rows come into sight. */
  onEnd?: () => void;
}

const template = <Row,>(columns: readonly Column<Row>[]) => ({
  base: columns
    .filter((column) => !column.wideOnly)
    .map((column) => column.width)
    .join(" "),
  md: columns.map((column) => column.width).join(" "),
});

const FLOATING = { position: "absolute", top: 0, left: 0, width: "100%" } as const;

/** The styles of all rows in one place: a component for each cell would compute them for each. */
const stylesOf = <Row,>(columns: readonly Column<Row>[]) => ({
  "& .row, & .head": {
    display: "grid",
    gridTemplateColumns: template(columns),
    columnGap: { base: 3, md: 4 },
    alignItems: "center",
    paddingInline: { base: 4, md: 5 },
    borderColor: "border.muted",
  },
  "& .row + .row": { borderTopWidth: "1px" },
  "& .row[data-open]": { cursor: "pointer", _hover: { bg: "bg.subtle" } },
  "& .row[aria-current]": { bg: "accent.subtle" },
  "& .row:focus-visible": { outline: "2px solid", outlineColor: "accent.focusRing", outlineOffset: "-2px" },
  "& .cell": { display: "flex", alignItems: "center", minWidth: 0, fontVariantNumeric: "tabular-nums" },
  "& .cell[data-align=end]": { justifyContent: "end" },
  "& .cell.wide": { display: { base: "none", md: "flex" } },
});

export function Table<Row>({
  label,
  rows,
  columns,
  keyOf,
  rowHeight = 44,
  height,
  onOpen,
  isCurrent,
  empty,
  onEnd,
}: TableProps<Row>) {
  const frame = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => frame.current,
    estimateSize: () => rowHeight,
    overscan: 12,
    initialOffset: () => {
      const at = isCurrent ? rows.findIndex(isCurrent) : -1;
      return at < 4 ? 0 : (at - 2) * rowHeight;
    },
    enabled: height !== undefined,
    onChange: (instance) => {
      const last = instance.getVirtualItems().at(-1);
      if (last && last.index >= rows.length - 1) onEnd?.();
    },
  });
  const seats =
    height === undefined ? rows.map((_, index) => ({ index, start: index * rowHeight })) : virtual.getVirtualItems();
  // biome-ignore lint/correctness/useExhaustiveDependencies: places are kept until they are measured again
  useEffect(() => virtual.measure(), [rowHeight]);
  const [focused, setFocused] = useState(0);
  const stop = seats.some((seat) => seat.index === focused) ? focused : seats[0]?.index;
  const move = (event: KeyboardEvent<HTMLElement>, row: Row) => {
    if (event.target !== event.currentTarget) return;
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      onOpen?.(row);
    }
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      const next =
        event.key === "ArrowDown" ? event.currentTarget.nextElementSibling : event.currentTarget.previousElementSibling;
      if (next instanceof HTMLElement) next.focus();
    }
  };
  return (
    <>
      <Box role="table" aria-label={label} aria-rowcount={rows.length + 1} minW={0} css={stylesOf(columns)}>
        <Box role="rowgroup">
          <Box role="row" className="head" h="36px" textStyle="caption" color="fg.muted" borderBottomWidth="1px">
            {columns.map((column) => (
              <Box
                key={column.key}
                role="columnheader"
                display={column.wideOnly ? { base: "none", md: "block" } : undefined}
                textAlign={column.align ?? "start"}
                truncate
              >
                {column.title}
              </Box>
            ))}
          </Box>
        </Box>
        <Box
          ref={frame}
          role="rowgroup"
          maxH={height}
          overflowY={height ? "auto" : undefined}
          tabIndex={height ? 0 : undefined}
          aria-label={height ? label : undefined}
        >
          <Box
            position="relative"
            role="presentation"
            style={{ height: height === undefined ? undefined : virtual.getTotalSize() }}
          >
            {seats.map((seat) => {
              const row = rows[seat.index];
              if (row === undefined) return null;
              return (
                // biome-ignore lint/a11y/useSemanticElements: rows that are placed one by one are no grid of a <table>
                <div
                  key={keyOf(row, seat.index)}
                  role="row"
                  className="row"
                  aria-rowindex={seat.index + 2}
                  tabIndex={onOpen && (seat.index === stop ? 0 : -1)}
                  onFocus={onOpen && (() => setFocused(seat.index))}
                  aria-current={isCurrent?.(row) || undefined}
                  data-open={onOpen ? "" : undefined}
                  onClick={
                    onOpen &&
                    ((event) => !(event.target as HTMLElement).closest("a, button, input, label") && onOpen(row))
                  }
                  onKeyDown={(event) => move(event, row)}
                  style={
                    height === undefined
                      ? { height: rowHeight }
                      : { height: rowHeight, transform: `translateY(${seat.start}px)`, ...FLOATING }
                  }
                >
                  {columns.map((column) => (
                    // biome-ignore lint/a11y/useSemanticElements: as its row
                    <div
                      key={column.key}
                      role="cell"
                      className={column.wideOnly ? "cell wide" : "cell"}
                      data-align={column.align}
                    >
                      {column.cell(row, seat.index)}
                    </div>
                  ))}
                </div>
              );
            })}
          </Box>
        </Box>
      </Box>
      {rows.length === 0 && empty}
    </>
  );
}
