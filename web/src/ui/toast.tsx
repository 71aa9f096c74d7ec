// Short messages that pass: what was done, or what could not be. One region that a screen reader follows.
import { Box, Flex, IconButton, Text } from "@chakra-ui/react";
import { CircleCheck, TriangleAlert, X } from "lucide-react";
import { useEffect, useState, useSyncExternalStore } from "react";
import { useTranslation } from "react-i18next";
import { asProblem } from "@/api/problem";
import { Rich } from "./rich";

interface Message {
  id: number;
  tone: "success" | "danger";
  title: string;
  text?: string;
}

const MOST = 4;
const SECONDS = { success: 5, danger: 12 } as const;
let shown: readonly Message[] = [];
let count = 0;
const listeners = new Set<() => void>();

function change(next: readonly Message[]): void {
  shown = next.slice(-MOST);
  for (const listener of listeners) listener();
}

const subscribe = (listener: () => void) => {
  listeners.add(listener);
  return () => listeners.delete(listener);
};

/** Says what was done. */
export function tell(title: string, text?: string): void {
  change([...shown, { id: ++count, tone: "success", title, text }]);
}

/** Says what could not be done, and the fix that the server names. */
export function warn(title: string, error?: unknown): void {
  const problem = error === undefined ? null : asProblem(error);
  const text = problem ? [problem.detail || problem.title, problem.fix].filter(Boolean).join(" ") : undefined;
  change([...shown, { id: ++count, tone: "danger", title, text }]);
}

function Toast({ message }: { message: Message }) {
  const { t } = useTranslation();
  const [held, setHeld] = useState(false);
  const { id, tone, title, text } = message;
  const close = () => change(shown.filter((one) => one.id !== id));
  useEffect(() => {
    if (held) return;
    const timer = setTimeout(() => change(shown.filter((one) => one.id !== id)), SECONDS[tone] * 1000);
    return () => clearTimeout(timer);
  }, [held, id, tone]);
  const Icon = tone === "danger" ? TriangleAlert : CircleCheck;
  return (
    <Flex
      onPointerEnter={() => setHeld(true)}
      onPointerLeave={() => setHeld(false)}
      onFocus={() => setHeld(true)}
      onBlur={() => setHeld(false)}
      pointerEvents="auto"
      gap={3}
      w="full"
      ps={4}
      pe={2}
      py={3}
      bg="bg.panel"
      borderWidth="1px"
      borderRadius="l3"
      boxShadow="lg"
      animation="fade-in 160ms"
    >
      <Box color={tone === "danger" ? "danger.fg" : "success.fg"} mt="2px">
        <Icon size={16} aria-hidden />
      </Box>
      <Box flex={1} minW={0} overflowWrap="anywhere">
        <Text textStyle="title">{title}</Text>
        {text && (
          <Text color="fg.muted">
            <Rich>{text}</Rich>
          </Text>
        )}
      </Box>
      <IconButton size="2xs" variant="ghost" color="fg.muted" aria-label={t("ui.dismiss")} onClick={close}>
        <X />
      </IconButton>
    </Flex>
  );
}

export function Toasts() {
  const messages = useSyncExternalStore(subscribe, () => shown);
  return (
    <Flex
      role="status"
      aria-live="polite"
      position="fixed"
      bottom={4}
      insetEnd={4}
      w="min(380px, calc(100vw - 32px))"
      direction="column"
      gap={2}
      zIndex="toast"
      pointerEvents="none"
    >
      {messages.map((message) => (
        <Toast key={message.id} message={message} />
      ))}
    </Flex>
  );
}
