"""Ask `forensic` about one window, with nothing but tritonclient: forensic_call.py SOUND [SERVER].

SOUND is a wav file of at most 30 s, 16 kHz, mono, 16 bit; SERVER is 127.0.0.1:8001 by default.
"""

import json
import sys
import wave

import numpy as np
import tritonclient.grpc as triton

with wave.open(sys.argv[1]) as sound:
    if (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) != (16000, 1, 2):
        sys.exit(f"{sys.argv[1]}: not 16 kHz, mono, 16 bit")
    samples = np.frombuffer(sound.readframes(30 * 16000), dtype="<i2")

client = triton.InferenceServerClient(sys.argv[2] if len(sys.argv) > 2 else "127.0.0.1:8001")
waveform = triton.InferInput("WAVEFORM", [1, len(samples)], "INT16")
waveform.set_data_from_numpy(samples[np.newaxis])
answer = client.infer("forensic", [waveform], client_timeout=300)

text = answer.as_numpy("EVIDENCE").item()  # pyright: ignore[reportOptionalMemberAccess]
evidence = json.loads(text)
for segment in evidence["segments"]:
    print(f"{segment['start']:6.2f} {segment['end']:6.2f} {segment['text'].strip()}")
