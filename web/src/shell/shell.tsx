// The frame of every screen: the menu at the left, a bar above on phones, and what is lost said in one line.
import { Box, Button, Flex, IconButton, Text } from "@chakra-ui/react";
import { Outlet } from "@tanstack/react-router";
import { Menu as MenuIcon, Search, WifiOff } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { tryNow, useLost } from "@/api/connection";
import { DropAnywhere } from "@/features/compose/drop";
import { useLater } from "@/ui/later";
import { openPalette, Palette, PaletteButton } from "./palette/button";
import { Mark, Menu } from "./sidebar";

function Lost() {
  const { t } = useTranslation();
  const lost = useLost();
  return (
    <Box role="status" aria-live="polite" position="fixed" bottom={4} insetX={0} zIndex="banner" pointerEvents="none">
      {lost && (
        <Flex
          pointerEvents="auto"
          mx="auto"
          w="fit-content"
          maxW="calc(100vw - 32px)"
          align="center"
          gap={3}
          ps={4}
          pe={2}
          py={1.5}
          borderRadius="full"
          bg="bg.inverted"
          color="fg.inverted"
          boxShadow="lg"
          textStyle="small"
        >
          <WifiOff size={14} aria-hidden />
          {t("problem.offline")}
          <Button
            size="2xs"
            variant="outline"
            borderRadius="full"
            color="fg.inverted"
            borderColor="fg.inverted"
            _hover={{ bg: "transparent", opacity: 0.8 }}
            onClick={tryNow}
          >
            {t("problem.tryNow")}
          </Button>
        </Flex>
      )}
    </Box>
  );
}

function PhoneBar() {
  const { t } = useTranslation();
  const [open, setOpen] = useState(false);
  const [MenuDrawer, need] = useLater(() => import("./drawer"));
  const show = () => {
    need();
    setOpen(true);
  };
  return (
    <Flex
      hideFrom="md"
      as="header"
      position="sticky"
      top={0}
      zIndex="docked"
      h="52px"
      px={3}
      align="center"
      gap={1}
      bg="bg"
      borderBottomWidth="1px"
    >
      <IconButton variant="ghost" size="sm" aria-label={t("nav.open")} aria-haspopup="dialog" onClick={show}>
        <MenuIcon />
      </IconButton>
      <Mark />
      <IconButton variant="ghost" size="sm" ms="auto" aria-label={t("palette.title")} onClick={openPalette}>
        <Search />
      </IconButton>
      {MenuDrawer && <MenuDrawer open={open} onClose={() => setOpen(false)} />}
    </Flex>
  );
}

export function Shell() {
  const { t } = useTranslation();
  return (
    <Flex minH="100dvh" direction={{ base: "column", md: "row" }}>
      <Text
        asChild
        position="absolute"
        top="-100px"
        left={3}
        zIndex="skipNav"
        bg="bg"
        px={3}
        py={2}
        borderRadius="l2"
        _focus={{ top: 3 }}
      >
        <a href="#main">{t("nav.skip")}</a>
      </Text>
      <Flex
        hideBelow="md"
        direction="column"
        gap={4}
        w="220px"
        flexShrink={0}
        position="sticky"
        top={0}
        h="100dvh"
        overflowY="auto"
        p={3}
        bg="bg.subtle"
        borderEndWidth="1px"
        borderColor="border"
      >
        <Mark />
        <PaletteButton />
        <Menu />
      </Flex>
      <PhoneBar />
      <Box as="main" id="main" flex={1} minW={0} tabIndex={-1} outline="none">
        <Outlet />
      </Box>
      <Lost />
      <Palette />
      <DropAnywhere />
    </Flex>
  );
}
