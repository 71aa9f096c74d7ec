import { cleanup, render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { useState } from "react";
import { afterEach, expect, test } from "vitest";
import { focusTitle, useReturn } from "@/ui/focus";

afterEach(cleanup);

function Edited() {
  const [isOpen, setOpen] = useState(false);
  const opener = useReturn(isOpen);
  return isOpen ? (
    <button type="button" onClick={() => setOpen(false)}>
      close
    </button>
  ) : (
    <button type="button" ref={opener} onClick={() => setOpen(true)}>
      edit
    </button>
  );
}

test("a closed editor gives the focus back to what opened it", async () => {
  render(<Edited />);
  await userEvent.click(screen.getByText("edit"));
  await userEvent.click(screen.getByText("close"));
  expect(document.activeElement).toBe(screen.getByText("edit"));
});

test("a new screen begins at its title, unless a field of it has taken the focus", () => {
  render(
    <>
      <a href="/runs">Runs</a>
      <main id="main">
        <h1 id="page-title" tabIndex={-1}>
          Runs
        </h1>
        <input aria-label="words" />
      </main>
    </>,
  );
  screen.getByRole("link").focus();
  focusTitle();
  expect(document.activeElement).toBe(screen.getByRole("heading"));
  screen.getByRole("textbox").focus();
  focusTitle();
  expect(document.activeElement).toBe(screen.getByRole("textbox"));
});
