// The way from an error to the list in which what there is stands.
import { Button } from "@chakra-ui/react";
import { Link, type LinkProps } from "@tanstack/react-router";

export function ToList({ to, children }: { to: LinkProps["to"]; children: string }) {
  return (
    <Button asChild size="xs" variant="outline" bg="bg">
      <Link to={to}>{children}</Link>
    </Button>
  );
}
