// A button of what cannot be undone: the first press asks, the second does it; elsewhere the question is withdrawn.
import { Button, type ButtonProps } from "@chakra-ui/react";
import { useState } from "react";

export interface SureButtonProps extends Omit<ButtonProps, "onClick" | "onBlur"> {
  /** What the second press does, as the button then says it. */
  question: string;
  onSure: () => void;
}

export function SureButton({ question, onSure, children, ...rest }: SureButtonProps) {
  const [isSure, setSure] = useState(false);
  return (
    <Button
      variant={isSure ? "outline" : "ghost"}
      {...rest}
      color={isSure ? "fg.error" : (rest.color ?? "fg.muted")}
      onBlur={() => setSure(false)}
      onKeyDown={(event) => event.key === "Escape" && setSure(false)}
      onClick={() => {
        setSure(!isSure);
        if (isSure) onSure();
      }}
    >
      {isSure ? question : children}
    </Button>
  );
}
