// Forms from JSON Schemas.
export type { Suggestion } from "./context";
export { type Fault, faultsOf, faultsWithin } from "./errors";
export { SettingsForm, type SettingsFormProps } from "./form";
export type { Schema } from "./schema";
export { brief, differences, isSame, isValues, type Json, type Values, valueAt, withValue } from "./values";
