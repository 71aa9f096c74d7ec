// Rows of data as people read them.
export { Conversation } from "./conversation";
export type { Piece } from "./learned";
export { type ChatMessage, conversationOf, messageOf } from "./messages";
export { promptText } from "./prompt";
export { Tokens, TokensLegend } from "./tokens";
