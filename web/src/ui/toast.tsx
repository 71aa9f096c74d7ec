// Short messages that pass: what was done, or what could not be.
import { Box, createToaster, Flex, Portal, Spinner, Stack, Toast, Toaster } from "@chakra-ui/react";
import { CircleCheck, Info, TriangleAlert } from "lucide-react";
import { asProblem } from "@/api/problem";

const toaster = createToaster({ placement: "bottom-end", pauseOnPageIdle: true, max: 4 });

export function tell(title: string, description?: string): void {
  toaster.create({ title, description, type: "success", duration: 4_000 });
}

export function warn(title: string, error?: unknown): void {
  const problem = error === undefined ? null : asProblem(error);
  const said = problem ? [problem.detail || problem.title, problem.fix].filter(Boolean).join(" ") : undefined;
  toaster.create({ title, description: said, type: "error", duration: 10_000, closable: true });
}

const ICONS = { success: CircleCheck, error: TriangleAlert, info: Info } as const;

export function Toasts() {
  return (
    <Portal>
      <Toaster toaster={toaster} insetInline={{ mdDown: "4" }}>
        {(toast) => {
          const Icon = toast.type && toast.type in ICONS ? ICONS[toast.type as keyof typeof ICONS] : Info;
          return (
            <Toast.Root
              width={{ md: "sm" }}
              bg="bg.panel"
              color="fg"
              borderWidth="1px"
              borderColor="border"
              boxShadow="lg"
            >
              <Flex color={toast.type === "error" ? "danger.fg" : "success.fg"} mt="2px">
                {toast.type === "loading" ? <Spinner size="sm" /> : <Icon size={16} aria-hidden />}
              </Flex>
              <Stack gap="1" flex="1" maxWidth="100%" minW={0}>
                {toast.title && <Toast.Title textStyle="title">{toast.title}</Toast.Title>}
                {toast.description && (
                  <Toast.Description color="fg.muted" overflowWrap="anywhere">
                    {toast.description}
                  </Toast.Description>
                )}
              </Stack>
              {toast.action && <Toast.ActionTrigger>{toast.action.label}</Toast.ActionTrigger>}
              {toast.closable && (
                <Box color="fg.muted">
                  <Toast.CloseTrigger />
                </Box>
              )}
            </Toast.Root>
          );
        }}
      </Toaster>
    </Portal>
  );
}
