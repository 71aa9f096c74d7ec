// The help of settings in Chinese, by its English text. A file is one family of stages; `shared` is of several families.
import data from "./data.json";
import evals from "./evals.json";
import models from "./models.json";
import preferences from "./preferences.json";
import rl from "./rl.json";
import shared from "./shared.json";
import ship from "./ship.json";
import tokens from "./tokens.json";
import train from "./train.json";

export default { ...data, ...evals, ...models, ...preferences, ...rl, ...shared, ...ship, ...tokens, ...train };
