// The editor of a row: its texts, as a conversation; or its JSON. A change makes a new version of the file.
import { Box, Button, Field, Flex, IconButton, NativeSelect, Text, Textarea } from "@chakra-ui/react";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { Plus, X } from "lucide-react";
import { useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { send } from "@/api/call";
import { isSame, type Json } from "@/features/form";
import { Segments, tell, warn } from "@/ui";
import { AskBeforeLeaving } from "@/ui/leave";
import { datasetQuery } from "./queries";
import { added, type RowValue, removed, textsOf, turnsOf, withRole, withText } from "./texts";

export interface RowEditorProps {
  name: string;
  row: number;
  value: RowValue;
  onClose: () => void;
}

export function RowEditor({ name, row, value, onClose }: RowEditorProps) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const queries = useQueryClient();
  const [draft, setDraft] = useState(value);
  const [json, setJson] = useState<string | null>(() =>
    textsOf(value).length ? null : JSON.stringify(value, null, 2),
  );
  const [saving, setSaving] = useState(false);
  const isSaved = useRef(false);
  const { queryKey } = datasetQuery(name);
  const { data: seen } = useQuery(datasetQuery(name));
  const [sha256] = useState(seen?.sha256 || undefined);
  const newest = seen?.newest ?? undefined;
  const isEdited = json === null ? !isSame(draft as Json, value as Json) : json !== JSON.stringify(value, null, 2);
  const [parsed, fault] = json === null ? [draft, ""] : read(json);
  const save = async (next: RowValue | null) => {
    setSaving(true);
    try {
      const path = `/api/v1/datasets/${encodeURIComponent(name)}/rows/${row}`;
      const made = await send<{ name: string }>("PATCH", path, { value: next, sha256, newest });
      isSaved.current = true;
      await queries.invalidateQueries({ queryKey: ["datasets"], exact: true });
      tell(t("data.saved", { name: made.name }), t("data.savedHint", { name }));
      await navigate({
        to: "/data/$name",
        params: { name: made.name },
        search: { tab: undefined, split: undefined, row: next === null || row === 0 ? undefined : row + 1 },
      });
      onClose();
    } catch (error) {
      warn(t("data.notSaved"), error);
      setSaving(false);
    } finally {
      await queries.invalidateQueries({ queryKey, exact: true });
    }
  };
  return (
    <Box>
      <AskBeforeLeaving isEdited={() => isEdited && !isSaved.current}>{t("data.unsaved")}</AskBeforeLeaving>
      {newest && newest !== name && (
        <Text textStyle="small" color="fg.muted" mb={3}>
          {t("data.newer", { newest })}
        </Text>
      )}
      <Flex mb={3}>
        <Segments
          label={t("data.editAs")}
          options={[
            { value: "texts", label: t("data.asTexts") },
            { value: "json", label: "JSON" },
          ]}
          value={json === null ? "texts" : "json"}
          onChange={(next) => {
            if (next === "json") setJson(JSON.stringify(draft, null, 2));
            else if (parsed) {
              setDraft(parsed);
              setJson(null);
            }
          }}
        />
      </Flex>
      {json === null ? (
        <Texts value={draft} onChange={setDraft} />
      ) : (
        <>
          <Textarea
            aria-label={t("data.edit")}
            value={json}
            onChange={(event) => setJson(event.target.value)}
            fontFamily="mono"
            fontSize="12.5px"
            rows={18}
            spellCheck={false}
            aria-invalid={fault !== "" || undefined}
          />
          <Text role="status" textStyle="small" color="fg.error" minH="20px" mt={1}>
            {fault}
          </Text>
        </>
      )}
      <Flex gap={2} mt={4} wrap="wrap">
        <Button
          size="sm"
          colorPalette="accent"
          loading={saving}
          disabled={parsed === null}
          onClick={() => void save(parsed)}
        >
          {t("data.save")}
        </Button>
        <Button size="sm" variant="ghost" onClick={onClose}>
          {t("data.discard")}
        </Button>
        <Button size="sm" variant="ghost" color="fg.error" ms="auto" onClick={() => void save(null)}>
          {t("data.removeRow")}
        </Button>
      </Flex>
    </Box>
  );
}

function read(json: string): [RowValue | null, string] {
  try {
    return [JSON.parse(json) as RowValue, ""];
  } catch (error) {
    return [null, error instanceof Error ? error.message : String(error)];
  }
}

const ROLES = ["system", "user", "assistant", "tool"] as const;

/** The texts of a row, each in a field of its own; of a conversation, turns can be added and removed. */
function Texts({ value, onChange }: { value: RowValue; onChange: (value: RowValue) => void }) {
  const { t } = useTranslation();
  const turns = turnsOf(value);
  return (
    <Flex direction="column" gap={3}>
      {textsOf(value).map((one) => (
        <Flex key={one.path.join(".")} gap={2} align="flex-start" direction={{ base: "column", sm: "row" }}>
          {one.turn === null ? (
            <Text textStyle="caption" color="fg.muted" w={{ sm: "112px" }} flexShrink={0} pt={2} truncate>
              {one.label}
            </Text>
          ) : (
            <NativeSelect.Root size="xs" w="112px" flexShrink={0} mt={{ sm: 1 }}>
              <NativeSelect.Field
                aria-label={t("data.roleOf", { number: one.turn + 1 })}
                value={one.label}
                onChange={(event) => onChange(withRole(value, one.turn ?? 0, event.target.value))}
              >
                {[...new Set<string>([one.label, ...ROLES])].map((role) => (
                  <option key={role} value={role}>
                    {role}
                  </option>
                ))}
              </NativeSelect.Field>
              <NativeSelect.Indicator />
            </NativeSelect.Root>
          )}
          <Field.Root flex={1} w="full">
            <Textarea
              aria-label={one.turn === null ? one.label : t("data.textOf", { number: one.turn + 1 })}
              value={one.text}
              onChange={(event) => onChange(withText(value, one.path, event.target.value))}
              rows={Math.min(16, Math.max(1, Math.ceil(one.text.length / 80) + one.text.split("\n").length - 1))}
            />
          </Field.Root>
          {one.turn !== null && (
            <IconButton
              size="xs"
              variant="ghost"
              color="fg.muted"
              aria-label={t("data.removeTurn", { number: one.turn + 1 })}
              onClick={() => onChange(removed(value, one.turn ?? 0))}
            >
              <X />
            </IconButton>
          )}
        </Flex>
      ))}
      {turns && (
        <Box>
          <Button size="xs" variant="outline" onClick={() => onChange(added(value))}>
            <Plus aria-hidden /> {t("data.addTurn")}
          </Button>
        </Box>
      )}
    </Flex>
  );
}
