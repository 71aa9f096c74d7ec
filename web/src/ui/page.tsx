// A screen: its title, what can be done, and its contents. It also names the document.
import { Box, Flex, Heading, Text } from "@chakra-ui/react";
import { type ReactNode, useEffect } from "react";

export interface PageProps {
  title: ReactNode;
  /** The name of the document, where `title` is not text. */
  name?: string;
  description?: ReactNode;
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

export function Page({ title, name, description, actions, width = "wide", children }: PageProps) {
  useDocumentTitle(name ?? (typeof title === "string" ? title : ""));
  return (
    <Box maxW={width === "wide" ? "1280px" : "760px"} mx="auto" px={{ base: 4, md: 8 }} py={{ base: 5, md: 8 }}>
      <Flex align="flex-start" gap={4} mb={{ base: 5, md: 7 }} wrap="wrap" rowGap={3}>
        <Box flex="1 1 260px" minW={0}>
          <Heading as="h1" textStyle="heading" tabIndex={-1} id="page-title" outline="none">
            {title}
          </Heading>
          {description && (
            <Text color="fg.muted" mt={1} maxW="68ch">
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
      <Flex direction="column" gap={{ base: 5, md: 6 }}>
        {children}
      </Flex>
    </Box>
  );
}
