// Emotion writes <style> elements; the policy of the server allows those that carry the nonce of this reply.
import createCache from "@emotion/cache";

const said = document.querySelector<HTMLMetaElement>('meta[name="csp-nonce"]')?.content;

export const nonce = said && said !== "__CSP_NONCE__" ? said : undefined;
export const styles = createCache({ key: "b", nonce });
