import { OpenFeatureEventEmitter } from "@openfeature/server-sdk";

/** The SDK adds listeners for every domain. Node takes more than ten for a leak, and warns. */
export class UnlimitedEvents extends OpenFeatureEventEmitter {
  constructor() {
    super();
    this.eventEmitter.setMaxListeners(0);
  }
}
