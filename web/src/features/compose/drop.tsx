// A file that is dropped on any screen, or a hub link that is pasted, becomes a form that is ready to run.
import { Box, Flex, Text } from "@chakra-ui/react";
import { useNavigate } from "@tanstack/react-router";
import { FileUp } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { queries } from "@/api/queries";
import { upload } from "@/features/data/upload";
import { Progress } from "@/ui/progress";
import { warn } from "@/ui/toast";
import { pasted } from "./links";

const isTyping = (target: EventTarget | null) =>
  target instanceof HTMLElement && target.closest("input, textarea, select, [contenteditable], [data-drop]") !== null;
const hasFiles = (event: DragEvent) => event.dataTransfer?.types.includes("Files") ?? false;

/** Uploads a file and opens the form that trains on it. */
export function useNewFromFile() {
  const navigate = useNavigate();
  const { t } = useTranslation();
  const [sending, setSending] = useState<{ name: string; share: number; cancel: () => void } | null>(null);
  const send = async (file: File) => {
    const running = upload(file, (share) => setSending((now) => now && { ...now, share }));
    setSending({ name: file.name, share: 0, cancel: running.cancel });
    try {
      const record = await running.done;
      void queries.invalidateQueries({ queryKey: ["datasets"] });
      await navigate({ to: "/new", search: { recipe: "first-adapter", source: `file:data/uploads/${record.name}` } });
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "cancelled"))
        warn(t("data.notUploaded"), error);
    } finally {
      setSending(null);
    }
  };
  return { sending, send };
}

export function DropAnywhere() {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const [over, setOver] = useState(false);
  const depth = useRef(0);
  const { sending, send } = useNewFromFile();
  const latest = useRef({ send, navigate });
  latest.current = { send, navigate };

  useEffect(() => {
    const isOwn = (event: Event) => event.target instanceof Element && event.target.closest("[data-drop]") !== null;
    const enter = (event: DragEvent) => {
      if (!hasFiles(event)) return;
      depth.current += 1;
      setOver(!isOwn(event));
    };
    const leave = () => {
      depth.current = Math.max(0, depth.current - 1);
      if (depth.current === 0) setOver(false);
    };
    const above = (event: DragEvent) => {
      if (hasFiles(event)) event.preventDefault();
      setOver(hasFiles(event) && !isOwn(event));
    };
    const drop = (event: DragEvent) => {
      depth.current = 0;
      setOver(false);
      if (!hasFiles(event) || event.defaultPrevented) return;
      event.preventDefault();
      const [file] = event.dataTransfer?.files ?? [];
      if (file) void latest.current.send(file);
    };
    const paste = (event: ClipboardEvent) => {
      if (isTyping(event.target)) return;
      const found = pasted(event.clipboardData?.getData("text/plain") ?? "");
      if (!found) return;
      event.preventDefault();
      void latest.current.navigate({ to: "/new", search: searchOf(found) });
    };
    window.addEventListener("dragenter", enter);
    window.addEventListener("dragleave", leave);
    window.addEventListener("dragover", above);
    window.addEventListener("drop", drop);
    window.addEventListener("paste", paste);
    return () => {
      window.removeEventListener("dragenter", enter);
      window.removeEventListener("dragleave", leave);
      window.removeEventListener("dragover", above);
      window.removeEventListener("drop", drop);
      window.removeEventListener("paste", paste);
    };
  }, []);

  if (!over && !sending) return null;
  return (
    <Flex
      position="fixed"
      inset={0}
      zIndex="modal"
      align="center"
      justify="center"
      p={6}
      pointerEvents={sending ? "auto" : "none"}
      bg="color-mix(in srgb, {colors.bg} 80%, transparent)"
      backdropFilter="blur(4px)"
    >
      <Flex
        direction="column"
        align="center"
        gap={3}
        w="full"
        maxW="420px"
        px={8}
        py={10}
        borderWidth="1.5px"
        borderStyle={sending ? "solid" : "dashed"}
        borderColor={sending ? "border" : "accent.solid"}
        borderRadius="l3"
        bg="bg.panel"
        boxShadow="lg"
        textAlign="center"
        role={sending ? "status" : undefined}
      >
        <Box color="accent.fg">
          <FileUp size={28} strokeWidth={1.6} aria-hidden />
        </Box>
        <Text textStyle="title">{sending ? sending.name : t("compose.dropHere")}</Text>
        {sending ? (
          <Box w="full">
            <Progress done={sending.share} total={1} label={t("data.uploading", { name: sending.name })} />
          </Box>
        ) : (
          <Text color="fg.muted">{t("compose.dropHint")}</Text>
        )}
      </Flex>
    </Flex>
  );
}

/** The form that a pasted link opens: a recipe with the link in its place. */
export const searchOf = (found: NonNullable<ReturnType<typeof pasted>>) =>
  found.type === "model" ? { recipe: "qwen3-lora", base: found.ref } : { recipe: "first-adapter", source: found.ref };
