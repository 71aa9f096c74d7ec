// A question before a screen is left that has a change which is not saved: by a link, by Back, or with the tab.
import { Button, Dialog, Portal } from "@chakra-ui/react";
import { useBlocker } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";

/** `isEdited` is asked when the screen is about to be left. */
export function AskBeforeLeaving({ isEdited, children }: { isEdited: () => boolean; children: string }) {
  const { t } = useTranslation();
  const { proceed, reset, status } = useBlocker({
    shouldBlockFn: isEdited,
    enableBeforeUnload: isEdited,
    withResolver: true,
  });
  return (
    <Dialog.Root
      role="alertdialog"
      size="sm"
      open={status === "blocked"}
      onOpenChange={(change) => !change.open && reset?.()}
      lazyMount
      unmountOnExit
    >
      <Portal>
        <Dialog.Backdrop />
        <Dialog.Positioner>
          <Dialog.Content>
            <Dialog.Header>
              <Dialog.Title textStyle="title">{children}</Dialog.Title>
            </Dialog.Header>
            <Dialog.Footer>
              <Button size="sm" variant="outline" onClick={() => reset?.()}>
                {t("ui.stay")}
              </Button>
              <Button size="sm" colorPalette="danger" onClick={() => proceed?.()}>
                {t("ui.leave")}
              </Button>
            </Dialog.Footer>
          </Dialog.Content>
        </Dialog.Positioner>
      </Portal>
    </Dialog.Root>
  );
}
