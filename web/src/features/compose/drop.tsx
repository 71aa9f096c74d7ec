// A file that is dropped on any screen, or a hub link that is pasted, becomes a form that is ready to run.
import { Box, Flex, Text } from "@chakra-ui/react";
import { useLocation, useNavigate } from "@tanstack/react-router";
import { FileUp } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { sendFiles, useSending } from "@/features/data/sending";
import { SentRow, searchOfUpload } from "@/features/data/sentRow";
import { pasted } from "./links";

const isTyping = (target: EventTarget | null) =>
  target instanceof HTMLElement && target.closest("input, textarea, select, [contenteditable], [data-drop]") !== null;
const hasFiles = (event: DragEvent) => event.dataTransfer?.types.includes("Files") ?? false;

/** Sends files to train on them. */
export function useNewFromFiles(): (files: Iterable<File>) => void {
  const navigate = useNavigate();
  return (files) => sendFiles(files, true, (name) => void navigate({ to: "/new", search: searchOfUpload(name) }));
}

export function DropAnywhere() {
  const navigate = useNavigate();
  const [over, setOver] = useState(false);
  const depth = useRef(0);
  const send = useNewFromFiles();
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
      latest.current.send(event.dataTransfer?.files ?? []);
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

  return over ? <Here /> : <Sending />;
}

/** Over the page while a file is held above it. */
function Here() {
  const { t } = useTranslation();
  return (
    <Flex
      position="fixed"
      inset={0}
      zIndex="modal"
      align="center"
      justify="center"
      p={6}
      pointerEvents="none"
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
        borderStyle="dashed"
        borderColor="accent.solid"
        borderRadius="l3"
        bg="bg.panel"
        boxShadow="lg"
        textAlign="center"
      >
        <Box color="accent.fg">
          <FileUp size={28} strokeWidth={1.6} aria-hidden />
        </Box>
        <Text textStyle="title">{t("compose.dropHere")}</Text>
        <Text color="fg.muted">{t("compose.dropHint")}</Text>
      </Flex>
    </Flex>
  );
}

/** The files that are sent, in a corner of every screen but the one that lists them itself. */
function Sending() {
  const { t } = useTranslation();
  const sent = useSending();
  const isListed = useLocation({ select: (location) => location.pathname === "/data" });
  if (isListed || sent.length === 0) return null;
  return (
    <Box
      as="section"
      aria-label={t("data.sending")}
      position="fixed"
      bottom={4}
      insetStart={{ base: 4, md: "236px" }}
      w="min(380px, calc(100vw - 32px))"
      maxH="40dvh"
      overflowY="auto"
      zIndex="docked"
      p={2}
      borderWidth="1px"
      borderRadius="l3"
      bg="bg.panel"
      boxShadow="lg"
    >
      {sent.map((one) => (
        <SentRow key={one.id} sent={one} />
      ))}
    </Box>
  );
}

/** The form that a pasted link opens: a recipe with the link in its place. */
export const searchOf = (found: NonNullable<ReturnType<typeof pasted>>) =>
  found.type === "model" ? { recipe: "qwen3-lora", base: found.ref } : { recipe: "first-adapter", source: found.ref };
