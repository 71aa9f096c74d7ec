// What every screen stands in: styles with their nonce, the cache of replies, the routes, toasts.
import { ChakraProvider } from "@chakra-ui/react";
import { CacheProvider } from "@emotion/react";
import { QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { queries } from "./api/queries";
import { router } from "./routes/tree";
import { styles } from "./theme/nonce";
import { system } from "./theme/system";
import { Toasts } from "./ui/toast";

export function App() {
  return (
    <CacheProvider value={styles}>
      <ChakraProvider value={system}>
        <QueryClientProvider client={queries}>
          <RouterProvider router={router} />
          <Toasts />
        </QueryClientProvider>
      </ChakraProvider>
    </CacheProvider>
  );
}
