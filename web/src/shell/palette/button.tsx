// Where the palette opens: a quiet field in the menu, and Ctrl K or ⌘ K everywhere.
import { chakra, Kbd } from "@chakra-ui/react";
import { Search } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { useLater } from "@/ui/later";

const KEYS = /mac|iphone|ipad/i.test(navigator.userAgent) ? "⌘ K" : "Ctrl K";
const opened = new Set<() => void>();

/** Opens the palette from anywhere. */
export function openPalette(): void {
  for (const open of opened) open();
}

export function PaletteButton({ onOpen }: { onOpen?: () => void }) {
  const { t } = useTranslation();
  return (
    <chakra.button
      type="button"
      display="flex"
      alignItems="center"
      gap={2.5}
      h="32px"
      w="full"
      px={2}
      borderRadius="l2"
      borderWidth="1px"
      borderColor="border"
      bg="bg"
      color="fg.muted"
      textStyle="small"
      cursor="pointer"
      _hover={{ borderColor: "border.emphasized", color: "fg" }}
      focusVisibleRing="outside"
      onClick={() => {
        onOpen?.();
        openPalette();
      }}
    >
      <Search size={14} aria-hidden />
      {t("palette.search")}
      <Kbd wordSpacing="normal" ms="auto" size="sm" variant="plain" fontFamily="body" color="fg.subtle" aria-hidden>
        {KEYS}
      </Kbd>
    </chakra.button>
  );
}

export function Palette() {
  const [open, setOpen] = useState(false);
  const [PaletteDialog, need] = useLater(() => import("./dialog"));
  const latest = useRef(need);
  latest.current = need;
  useEffect(() => {
    const show = () => {
      latest.current();
      setOpen(true);
    };
    const keys = (event: KeyboardEvent) => {
      if (event.key.toLowerCase() !== "k" || !(event.metaKey || event.ctrlKey) || event.shiftKey || event.altKey)
        return;
      event.preventDefault();
      show();
    };
    opened.add(show);
    window.addEventListener("keydown", keys);
    return () => {
      opened.delete(show);
      window.removeEventListener("keydown", keys);
    };
  }, []);
  return PaletteDialog && <PaletteDialog open={open} onClose={() => setOpen(false)} />;
}
