// The microphone. In: the browser's permission. Out: one audio track, and a sentence a person understands when there is none.
// Also has the shape that SmallWebRTCTransport expects of a "media manager", so that the one in its library, which is made of
// daily-js, is never built.

import type { SmallWebRTCTransportConstructorOptions } from "@pipecat-ai/small-webrtc-transport";

type MediaManager = NonNullable<SmallWebRTCTransportConstructorOptions["mediaManager"]>;

export class MicrophoneError extends Error {}

function sentence(error: unknown): string {
  const typeInstead = "You can still type below.";
  switch (error instanceof DOMException ? error.name : "") {
    case "NotAllowedError":
    case "SecurityError":
      return `The browser may not use the microphone. Allow it beside the page's address, then press Talk again. ${typeInstead}`;
    case "NotFoundError":
    case "OverconstrainedError":
      return `No microphone was found. Plug one in, then press Talk again. ${typeInstead}`;
    case "NotReadableError":
    case "AbortError":
      return `The microphone is in use by another program or does not answer. ${typeInstead}`;
    default:
      return `The microphone could not be opened. ${typeInstead}`;
  }
}

class Microphone {
  readonly supportsScreenShare = false;
  readonly isCamEnabled = false;
  readonly isSharingScreen = false;
  readonly selectedMic = {};
  readonly selectedCam = {};
  readonly selectedSpeaker = {};
  private enabled = false;
  track: MediaStreamTrack | undefined;

  /** Ask for the microphone unless it is open. Raises MicrophoneError with a sentence for the page. */
  async open(): Promise<MediaStreamTrack> {
    if (this.track?.readyState !== "live") {
      if (!navigator.mediaDevices) {
        throw new MicrophoneError(
          "Browsers open a microphone only for pages on this machine or on https. You can still type below.",
        );
      }
      try {
        const stream = await navigator.mediaDevices.getUserMedia({
          audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true, channelCount: 1 },
        });
        this.track = stream.getAudioTracks()[0];
      } catch (error) {
        throw new MicrophoneError(sentence(error));
      }
    }
    this.enableMic(true);
    return this.track!;
  }

  close(): void {
    this.track?.stop();
    this.track = undefined;
    this.enabled = false;
  }

  enableMic(enable: boolean): void {
    this.enabled = enable;
    if (this.track) this.track.enabled = enable;
  }

  get isMicEnabled(): boolean {
    return this.enabled && this.track !== undefined;
  }

  tracks() {
    return { local: this.track ? { audio: this.track } : {} };
  }

  // What SmallWebRTCTransport also calls, and what means nothing here: the call opens and closes the microphone itself.
  setClientOptions(): void {}
  async initialize(): Promise<void> {}
  async connect(): Promise<void> {}
  async disconnect(): Promise<void> {}
  enableCam(): void {}
  enableScreenShare(): void {}
  updateMic(): void {}
  updateCam(): void {}
  updateSpeaker(): void {}
  async getAllMics(): Promise<MediaDeviceInfo[]> {
    return [];
  }
  async getAllCams(): Promise<MediaDeviceInfo[]> {
    return [];
  }
  async getAllSpeakers(): Promise<MediaDeviceInfo[]> {
    return [];
  }
}

export const microphone = new Microphone();
export const asMediaManager = microphone as unknown as MediaManager;
