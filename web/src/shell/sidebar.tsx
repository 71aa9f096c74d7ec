// The menu: quiet, one line for each screen.
import { Box, Flex, Text } from "@chakra-ui/react";
import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { type MenuItem, MODELS, SETTINGS, WORK } from "./menu";
import { Preferences } from "./preferences";

function Item({ item, onGo }: { item: MenuItem; onGo?: () => void }) {
  const { t } = useTranslation();
  const Icon = item.icon;
  return (
    <Box asChild>
      <Link
        to={item.to}
        activeOptions={{ exact: item.to === "/", includeSearch: false }}
        onClick={onGo}
        className="menu-item"
      >
        <Icon size={16} strokeWidth={1.9} aria-hidden />
        <span>{t(`nav.${item.key}`)}</span>
      </Link>
    </Box>
  );
}

export function Mark() {
  return (
    <Flex
      asChild
      align="center"
      gap={2.5}
      h="32px"
      px={2}
      borderRadius="l2"
      fontWeight="650"
      letterSpacing="-0.02em"
      fontSize="15px"
    >
      <Link to="/">
        <img src="/mark.svg" alt="" width={20} height={20} />
        burnish
      </Link>
    </Flex>
  );
}

export function Menu({ onGo }: { onGo?: () => void }) {
  const { t } = useTranslation();
  return (
    <Flex
      as="nav"
      aria-label={t("nav.main")}
      direction="column"
      flex={1}
      gap="1px"
      css={{
        "& .menu-item": {
          display: "flex",
          alignItems: "center",
          gap: "10px",
          height: { base: "40px", md: "32px" },
          paddingInline: "8px",
          borderRadius: "l2",
          color: "fg.muted",
          textStyle: "body",
          fontWeight: "400",
          _hover: { bg: "bg.muted", color: "fg" },
          "&.active": { bg: "bg.muted", color: "fg", fontWeight: "500" },
          _focusVisible: { outline: "2px solid", outlineColor: "accent.focusRing", outlineOffset: "-2px" },
        },
      }}
    >
      {WORK.map((item) => (
        <Item key={item.key} item={item} onGo={onGo} />
      ))}
      <Text textStyle="caption" color="fg.subtle" px={2} mt={5} mb={1}>
        {t("nav.groupModels")}
      </Text>
      {MODELS.map((item) => (
        <Item key={item.key} item={item} onGo={onGo} />
      ))}
      <Box flex={1} minH={4} />
      <Item item={SETTINGS} onGo={onGo} />
      <Preferences />
    </Flex>
  );
}
