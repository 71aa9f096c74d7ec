// A screen: its title, what can be done, and its contents. It also names the document.
import { Box, Flex, Heading, Text } from "@chakra-ui/react";
import { Link, type LinkProps } from "@tanstack/react-router";
import { type ReactNode, useEffect } from "react";
import { useTranslation } from "react-i18next";

export interface Crumb {
  label: string;
  to?: LinkProps["to"];
  params?: Record<string, string>;
}

export interface PageProps {
  title: ReactNode;
  /** The name of the document, where `title` is not text. */
  name?: string;
  description?: ReactNode;
  /** The way here from the menu, above the title. */
  crumbs?: readonly Crumb[];
  actions?: ReactNode;
  /** `wide` uses the whole width, for tables and curves. */
  width?: "reading" | "wide";
  children: ReactNode;
}

export function useDocumentTitle(name: string): void {
  useEffect(() => {
    document.title = name ? `${name} · burnish` : "burnish";
  }, [name]);
}

function Crumbs({ crumbs }: { crumbs: readonly Crumb[] }) {
  const { t } = useTranslation();
  return (
    <Flex as="nav" aria-label={t("nav.breadcrumbs")} textStyle="small" color="fg.muted" mb={1} minW={0}>
      {crumbs.map((crumb, at) => (
        <Box key={crumb.label} as="span" truncate>
          {at > 0 && (
            <Box as="span" mx={1.5} color="fg.subtle" aria-hidden>
              /
            </Box>
          )}
          {crumb.to ? (
            <Box asChild _hover={{ color: "fg" }}>
              <Link to={crumb.to} params={crumb.params as never}>
                {crumb.label}
              </Link>
            </Box>
          ) : (
            crumb.label
          )}
        </Box>
      ))}
    </Flex>
  );
}

export function Page({ title, name, description, crumbs, actions, width = "wide", children }: PageProps) {
  useDocumentTitle(name ?? (typeof title === "string" ? title : ""));
  return (
    <Box maxW="1280px" mx="auto" px={{ base: 4, md: 8 }} py={{ base: 5, md: 8 }}>
      {crumbs && <Crumbs crumbs={crumbs} />}
      <Flex align="flex-start" gap={4} mb={{ base: 5, md: 7 }} wrap="wrap" rowGap={3}>
        <Box flex="1 1 180px" minW={0}>
          <Heading as="h1" textStyle="heading" tabIndex={-1} id="page-title" outline="none">
            {title}
          </Heading>
          {description && (
            <Text color="fg.muted" mt={1} maxW="76ch" textWrap="pretty">
              {description}
            </Text>
          )}
        </Box>
        {actions && (
          <Flex gap={2} wrap="wrap">
            {actions}
          </Flex>
        )}
      </Flex>
      <Flex direction="column" gap={{ base: 5, md: 6 }} maxW={width === "reading" ? "760px" : undefined}>
        {children}
      </Flex>
    </Box>
  );
}
