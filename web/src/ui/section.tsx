// A part of a screen: a quiet frame with a title, and what can be done with it.
import { Box, type BoxProps, Flex, Text } from "@chakra-ui/react";
import { type ReactNode, useId } from "react";

export interface SectionProps extends Omit<BoxProps, "title"> {
  title?: ReactNode;
  description?: ReactNode;
  actions?: ReactNode;
  /** Contents reach the frame: tables and curves. */
  flush?: boolean;
  children: ReactNode;
}

export function Section({ title, description, actions, flush = false, children, ...rest }: SectionProps) {
  const id = useId();
  return (
    <Box
      as="section"
      aria-labelledby={title ? id : undefined}
      borderWidth="1px"
      borderColor="border"
      borderRadius="l3"
      bg="bg.panel"
      minW={0}
      overflow="hidden"
      {...rest}
    >
      {(title || actions) && (
        <Flex
          align="center"
          gap={3}
          px={{ base: 4, md: 5 }}
          pt={4}
          pb={flush ? 3 : 0}
          minH="44px"
          wrap="wrap"
          rowGap={2}
        >
          <Box flex="1 1 180px" minW={0}>
            <Text as="h2" id={id} textStyle="title">
              {title}
            </Text>
            {description && (
              <Text textStyle="small" color="fg.muted">
                {description}
              </Text>
            )}
          </Box>
          {actions && (
            <Flex gap={2} align="center" wrap="wrap">
              {actions}
            </Flex>
          )}
        </Flex>
      )}
      <Box
        p={flush ? 0 : { base: 4, md: 5 }}
        pt={flush ? 0 : title || actions ? 3 : 5}
        borderTopWidth={flush && title ? "1px" : 0}
        borderColor="border.muted"
      >
        {children}
      </Box>
    </Box>
  );
}
