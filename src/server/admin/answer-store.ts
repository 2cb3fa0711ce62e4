import { StoreUnavailable } from "../../store/index.js";
import { type OrRefusal, Refusal } from "../refusal.js";

/** What depends on the store; a refusal where that is closed or cannot be read or followed. */
export async function answerStore<T>(answer: () => Promise<OrRefusal<T>>): Promise<OrRefusal<T>> {
  try {
    return await answer();
  } catch (error) {
    if (!(error instanceof StoreUnavailable)) throw error;
    return new Refusal(
      "UNAVAILABLE",
      "STORE_UNAVAILABLE",
      "the store is not available; whether a write was kept is not known",
    );
  }
}
