// The name of a run, which leads to it.
import { chakra } from "@chakra-ui/react";
import { Link } from "@tanstack/react-router";

export function RunName({ recipe, number }: { recipe: string; number: number }) {
  return (
    <chakra.span asChild fontWeight="500" truncate _hover={{ textDecoration: "underline", textUnderlineOffset: "3px" }}>
      <Link
        to="/runs/$recipe/$number"
        params={{ recipe, number: String(number) }}
        search={{ step: undefined, tab: undefined }}
      >
        {recipe}
        <chakra.span color="fg.muted" fontWeight="400">
          {" "}
          #{number}
        </chakra.span>
      </Link>
    </chakra.span>
  );
}
