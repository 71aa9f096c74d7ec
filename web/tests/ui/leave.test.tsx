import { ChakraProvider } from "@chakra-ui/react";
import {
  createMemoryHistory,
  createRootRoute,
  createRoute,
  createRouter,
  RouterProvider,
} from "@tanstack/react-router";
import { cleanup, render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, beforeAll, expect, test } from "vitest";
import { startLanguage } from "@/i18n";
import { system } from "@/theme/system";
import { AskBeforeLeaving } from "@/ui/leave";

beforeAll(() => startLanguage());
afterEach(cleanup);

test("a screen with a change that is not saved is left only after a yes", async () => {
  const root = createRootRoute();
  const edited = () => <AskBeforeLeaving isEdited={() => true}>Not saved</AskBeforeLeaving>;
  const here = createRoute({ getParentRoute: () => root, path: "/", component: edited });
  const there = createRoute({ getParentRoute: () => root, path: "/there", component: () => "There" });
  const history = createMemoryHistory({ initialEntries: ["/"] });
  const router = createRouter({ routeTree: root.addChildren([here, there]), history });
  render(
    <ChakraProvider value={system}>
      <RouterProvider router={router as never} />
    </ChakraProvider>,
  );
  await router.load();
  void router.navigate({ to: "/there" } as never);
  await userEvent.click(await screen.findByRole("button", { name: "Stay" }));
  expect(router.state.location.pathname).toBe("/");
  void router.navigate({ to: "/there" } as never);
  await userEvent.click(await screen.findByRole("button", { name: /Leave/ }));
  await screen.findByText("There");
});
