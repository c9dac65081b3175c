// A Pipecat transport over a websocket: RTVI messages and 16-bit audio in ProtobufFrameSerializer frames, for where WebRTC
// cannot connect. Microphone at 16 kHz up; the agent's voice at the rate its frames carry, 24 kHz by default.
// `@pipecat-ai/websocket-transport` 1.7.1 is not used: it dials again after the server hangs up, plays on after an
// interruption, and takes its audio from daily-js.

import { RTVIMessage, Transport, TransportStartError } from "@pipecat-ai/client-js";
import type { PipecatClientOptions, Tracks, TransportState } from "@pipecat-ai/client-js";
import workletUrl from "./audioWorklet.ts?worker&url";
import { readFrame, writeAudio, writeMessage } from "./frames";
import { measure } from "./levels";
import { microphone } from "./microphone";

const MICROPHONE_RATE = 16_000;
const VOICE_RATE = 24_000;
/** A websocket closed on purpose (RFC 6455, 7.4.1). */
const HUNG_UP = 1000;
/** runner's own code: another connection has the call now. */
const TAKEN_OVER = 4001;
/** Audio the socket may hold back before microphone frames are dropped, in bytes: two seconds. */
const MOST_BACKLOG = 2 * 2 * MICROPHONE_RATE;

export class WebsocketTransport extends Transport {
  private socket: WebSocket | undefined;
  private ear: AudioContext | undefined;
  private mouth: AudioContext | undefined;
  private player: AudioWorkletNode | undefined;
  private capturing: MediaStreamTrack | undefined;
  private mouthRate = VOICE_RATE;
  private mouthReady: Promise<void> = Promise.resolve();

  /** The call goes on, elsewhere. */
  takenOver = false;
  bytesReceived = 0;
  /** As WebRTC defines it: the square of the level over time, in seconds. */
  totalAudioEnergy = 0;

  initialize(options: PipecatClientOptions, messageHandler: (message: RTVIMessage) => void): void {
    this._options = options;
    this._callbacks = options.callbacks ?? {};
    this._onMessage = messageHandler;
    this._maxMessageSize = 1024 * 1024;
  }

  async initDevices(): Promise<void> {}

  _validateConnectionParams(parameters?: unknown): unknown {
    return parameters;
  }

  /** Raises TransportStartError when the server does not answer or refuses the call. */
  async _connect(parameters?: unknown): Promise<void> {
    this.state = "connecting";
    const { url } = parameters as { url: string };
    this.mouthReady = this.openMouth();
    await this.mouthReady;
    const socket = new WebSocket(url);
    this.socket = socket;
    socket.binaryType = "arraybuffer";
    await new Promise<void>((resolve, reject) => {
      socket.onopen = () => resolve();
      socket.onclose = ({ reason }) => reject(new TransportStartError(reason || "The server did not take the call."));
    });
    socket.onclose = ({ code }) => {
      this.takenOver = code === TAKEN_OVER;
      if (code === HUNG_UP) this._callbacks.onBotDisconnected?.({ id: "agent", name: "agent", local: false });
      void this.stopped();
    };
    socket.onmessage = ({ data }) => this.receive(new Uint8Array(data as ArrayBuffer));
    this.state = "connected";
    this._callbacks.onConnected?.();
    if (microphone.track) await this.capture(microphone.track);
  }

  async _disconnect(): Promise<void> {
    this.state = "disconnecting";
    const socket = this.socket;
    if (socket && socket.readyState < WebSocket.CLOSING) {
      socket.onclose = null;
      socket.close(HUNG_UP);
    }
    await this.stopped();
  }

  private async stopped(): Promise<void> {
    if (this.state === "disconnected") return;
    this.state = "disconnected";
    this.socket = undefined;
    this.player = undefined;
    this.capturing = undefined;
    const contexts = [this.ear, this.mouth];
    this.ear = this.mouth = undefined;
    for (const context of contexts) if (context && context.state !== "closed") await context.close();
    this._callbacks.onDisconnected?.();
  }

  private async openMouth(): Promise<void> {
    await this.mouth?.close();
    const context = new AudioContext({ sampleRate: this.mouthRate });
    this.mouth = context;
    await context.audioWorklet.addModule(workletUrl);
    this.player = new AudioWorkletNode(context, "playback", { numberOfInputs: 0, outputChannelCount: [1] });
    measure("agent", this.player).connect(context.destination);
    void context.resume();
    // After a reload a browser may want a click or a key first.
    for (const event of ["pointerdown", "keydown"]) addEventListener(event, () => void context.resume().catch(() => {}), { once: true });
  }

  /** Send this track's sound from now on. Its rate is the machine's: Firefox refuses to mix rates in one context. */
  async capture(track: MediaStreamTrack): Promise<void> {
    if (this.capturing === track) return;
    this.capturing = track;
    await this.ear?.close();
    const context = new AudioContext();
    this.ear = context;
    await context.audioWorklet.addModule(workletUrl);
    const source = new MediaStreamAudioSourceNode(context, { mediaStream: new MediaStream([track]) });
    const node = new AudioWorkletNode(context, "capture", {
      channelCount: 1,
      channelCountMode: "explicit",
      numberOfOutputs: 0,
      processorOptions: { rate: MICROPHONE_RATE },
    });
    node.port.onmessage = ({ data }: MessageEvent<Int16Array>) => {
      if (this.state === "ready" && (this.socket?.bufferedAmount ?? 0) < MOST_BACKLOG) this.send(writeAudio(data, MICROPHONE_RATE));
    };
    source.connect(node);
    measure("caller", source);
    void context.resume();
  }

  private receive(bytes: Uint8Array): void {
    const frame = readFrame(bytes);
    if (frame.type === "audio") {
      this.bytesReceived += frame.samples.byteLength;
      let sum = 0;
      for (const sample of frame.samples) sum += (sample / 32768) ** 2;
      this.totalAudioEnergy += sum / (frame.sampleRate || this.mouthRate);
      if (frame.sampleRate && frame.sampleRate !== this.mouthRate) {
        this.mouthRate = frame.sampleRate;
        this.mouthReady = this.openMouth();
      }
      void this.mouthReady.then(() => this.player?.port.postMessage(frame.samples, [frame.samples.buffer]));
    } else if (frame.type === "interruption") {
      this.player?.port.postMessage("clear");
    } else if (frame.type === "message") {
      const message = JSON.parse(frame.data) as RTVIMessage;
      if (message.label === "rtvi-ai") this._onMessage(message);
    }
  }

  private send(bytes: Uint8Array): void {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(bytes as Uint8Array<ArrayBuffer>);
  }

  sendReadyMessage(): void {
    this.state = "ready";
    this.sendMessage(RTVIMessage.clientReady());
  }

  sendMessage(message: RTVIMessage): void {
    this.send(writeMessage(message));
  }

  get state(): TransportState {
    return this._state;
  }
  set state(state: TransportState) {
    if (this._state === state) return;
    this._state = state;
    this._callbacks.onTransportStateChanged?.(state);
  }

  enableMic(enable: boolean): void {
    microphone.enableMic(enable);
  }
  get isMicEnabled(): boolean {
    return microphone.isMicEnabled;
  }
  tracks(): Tracks {
    return microphone.tracks();
  }

  // A call has no camera and no choice of devices; Transport wants to be asked anyway.
  readonly isCamEnabled = false;
  readonly isSharingScreen = false;
  readonly selectedMic = {};
  readonly selectedCam = {};
  readonly selectedSpeaker = {};
  enableCam(): void {}
  enableScreenShare(): void {}
  updateMic(): void {}
  updateCam(): void {}
  updateSpeaker(): void {}
  getAllMics = async (): Promise<MediaDeviceInfo[]> => [];
  getAllCams = async (): Promise<MediaDeviceInfo[]> => [];
  getAllSpeakers = async (): Promise<MediaDeviceInfo[]> => [];
}
