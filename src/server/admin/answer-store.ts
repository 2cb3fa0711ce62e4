import { StoreUnavailable } from "../../store/index.js";
import { type OrRefusal, Refusal } from "../refusal.js";

/** What the store answers to a read; a refusal where it is closed or cannot be read. */
export async function answerStore<T>(read: () => Promise<T>): Promise<OrRefusal<T>> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof StoreUnavailable)) throw error;
    return new Refusal("UNAVAILABLE", "STORE_UNAVAILABLE", "the store cannot be read; see the server's log");
  }
}
