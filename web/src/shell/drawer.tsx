// The menu of a phone, fetched when it is first opened.
import { Drawer, Portal } from "@chakra-ui/react";
import { useTranslation } from "react-i18next";
import { Mark, Menu } from "./sidebar";

export default function MenuDrawer({ open, onClose }: { open: boolean; onClose: () => void }) {
  const { t } = useTranslation();
  return (
    <Drawer.Root
      open={open}
      onOpenChange={(change) => !change.open && onClose()}
      placement="start"
      lazyMount
      unmountOnExit
    >
      <Portal>
        <Drawer.Backdrop />
        <Drawer.Positioner>
          <Drawer.Content maxW="280px" aria-label={t("nav.main")}>
            <Drawer.Body p={3} display="flex" flexDirection="column" gap={4}>
              <Mark />
              <Menu onGo={onClose} />
            </Drawer.Body>
          </Drawer.Content>
        </Drawer.Positioner>
      </Portal>
    </Drawer.Root>
  );
}
