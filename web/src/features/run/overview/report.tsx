// A small table that a step reported.
import { Box } from "@chakra-ui/react";
import { Section } from "@/ui";
import type { StepTable } from "../live";

/** With a minus instead of the hyphen that a terminal has. */
const shown = (cell: string) => cell.replace(/(^|[( ])-(?=\d)/g, "$1−");

const NUMBER = /^[-+−]?[\d.,]+(?:\s?%|e[-+]?\d+)?(?:\s*\(.*\))?$/;

export function Report({ table }: { table: StepTable }) {
  const isNumber = table.columns.map(
    (_, at) =>
      at > 0 && table.rows.some((row) => row[at]) && table.rows.every((row) => !row[at] || NUMBER.test(row[at])),
  );
  const columns = table.columns.map((column, at) => ({ column, key: `${at} ${column}` }));
  const rows = table.rows.map((cells, at) => ({ cells, key: `${at} ${cells[0] ?? ""}` }));
  return (
    <Section title={table.title} flush>
      <Box overflowX="auto" tabIndex={0} role="region" aria-label={table.title}>
        <Box
          as="table"
          w="full"
          textStyle="small"
          borderCollapse="collapse"
          fontVariantNumeric="tabular-nums"
          css={{
            "& th, & td": { paddingInline: "20px", paddingBlock: "8px", textAlign: "start", whiteSpace: "nowrap" },
            "& td:last-of-type": { whiteSpace: "normal" },
            "& .number": { textAlign: "end" },
          }}
        >
          <thead>
            <Box as="tr" color="fg.muted">
              {columns.map(({ column, key }, at) => (
                <Box
                  as="th"
                  key={key}
                  className={isNumber[at] ? "number" : undefined}
                  fontWeight="400"
                  textStyle="caption"
                >
                  {column}
                </Box>
              ))}
            </Box>
          </thead>
          <tbody>
            {rows.map(({ cells, key }) => (
              <Box as="tr" key={key} borderTopWidth="1px" borderColor="border.muted">
                {columns.map(({ key: seat }, at) => (
                  <Box as="td" key={seat} className={isNumber[at] ? "number" : undefined}>
                    {isNumber[at] ? shown(cells[at] ?? "") : cells[at]}
                  </Box>
                ))}
              </Box>
            ))}
          </tbody>
        </Box>
      </Box>
    </Section>
  );
}
