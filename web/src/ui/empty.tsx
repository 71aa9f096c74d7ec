// What is shown where there is nothing yet: what will stand here, and how to get it.
import { Box, Flex, Text } from "@chakra-ui/react";
import type { LucideIcon } from "lucide-react";
import type { ReactNode } from "react";

export interface EmptyStateProps {
  icon?: LucideIcon;
  title: string;
  children?: ReactNode;
  action?: ReactNode;
  /** Of a screen that has no other title. */
  isTitle?: boolean;
  /** Inside a section rather than as the whole screen. */
  compact?: boolean;
}

export function EmptyState({ icon: Icon, title, children, action, isTitle = false, compact = false }: EmptyStateProps) {
  return (
    <Flex direction="column" align="center" textAlign="center" px={6} py={compact ? 8 : { base: 12, md: 20 }} gap={1}>
      {Icon && (
        <Flex
          boxSize={10}
          mb={3}
          align="center"
          justify="center"
          borderRadius="l3"
          borderWidth="1px"
          borderColor="border"
          bg="bg.subtle"
          color="fg.muted"
        >
          <Icon size={18} strokeWidth={1.75} aria-hidden />
        </Flex>
      )}
      <Text as={isTitle ? "h1" : "p"} textStyle="title">
        {title}
      </Text>
      {children && (
        <Box color="fg.muted" maxW="52ch">
          {children}
        </Box>
      )}
      {action && (
        <Flex mt={4} gap={2} wrap="wrap" justify="center">
          {action}
        </Flex>
      )}
    </Flex>
  );
}
