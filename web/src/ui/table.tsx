// A table that stays smooth with a hundred thousand rows: only those in sight are in the document.
import { Box, Flex } from "@chakra-ui/react";
import { useVirtualizer } from "@tanstack/react-virtual";
import { type KeyboardEvent, type ReactNode, useRef } from "react";

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
  const columnsOf = template(columns);
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
    <Box role="table" aria-label={label} aria-rowcount={rows.length + 1} minW={0}>
      <Box role="rowgroup">
        <Box
          role="row"
          display="grid"
          gridTemplateColumns={columnsOf}
          columnGap={{ base: 3, md: 4 }}
          alignItems="center"
          px={{ base: 4, md: 5 }}
          h="36px"
          textStyle="caption"
          color="fg.muted"
          borderBottomWidth="1px"
          borderColor="border.muted"
        >
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
      {rows.length === 0 && empty}
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
              <Box
                key={keyOf(row, seat.index)}
                role="row"
                aria-rowindex={seat.index + 2}
                tabIndex={onOpen ? 0 : undefined}
                aria-current={isCurrent?.(row) || undefined}
                bg={isCurrent?.(row) ? "bg.muted" : undefined}
                onClick={
                  onOpen &&
                  ((event) => !(event.target as HTMLElement).closest("a, button, input, label") && onOpen(row))
                }
                onKeyDown={(event) => move(event, row)}
                display="grid"
                gridTemplateColumns={columnsOf}
                columnGap={{ base: 3, md: 4 }}
                alignItems="center"
                px={{ base: 4, md: 5 }}
                borderTopWidth={seat.index ? "1px" : 0}
                borderColor="border.muted"
                cursor={onOpen ? "pointer" : undefined}
                _hover={onOpen ? { bg: "bg.subtle" } : undefined}
                _focusVisible={{ outline: "2px solid", outlineColor: "accent.focusRing", outlineOffset: "-2px" }}
                {...(height !== undefined && { position: "absolute", top: 0, left: 0, width: "100%" })}
                style={{ height: rowHeight, ...(height !== undefined && { transform: `translateY(${seat.start}px)` }) }}
              >
                {columns.map((column) => (
                  <Flex
                    key={column.key}
                    role="cell"
                    display={column.wideOnly ? { base: "none", md: "flex" } : "flex"}
                    justify={column.align ?? "start"}
                    align="center"
                    minW={0}
                    fontVariantNumeric="tabular-nums"
                  >
                    {column.cell(row, seat.index)}
                  </Flex>
                ))}
              </Box>
            );
          })}
        </Box>
      </Box>
    </Box>
  );
}
