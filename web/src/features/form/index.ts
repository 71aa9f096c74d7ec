// Forms from JSON Schemas.
export type { Suggestion } from "./context";
export { type Fault, faultsOf, faultsWithin, hasFault, sorted } from "./errors";
export { SettingsForm, type SettingsFormProps } from "./form";
export { Reference } from "./reference";
export type { Schema } from "./schema";
export { brief, differences, isSame, isValues, type Json, type Values, valueAt, withValue } from "./values";
