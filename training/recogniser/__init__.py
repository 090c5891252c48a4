"""How the small Vosk model of esc_robot/listening/vosk-esc-en is made, and made again with more words.

    python -m training.recogniser.graph --add-words "Aisha=AY IY SH AH" Ottawa      under a minute, no training
    python -m training.recogniser.speech && python -m training.recogniser.network      from the corpus on: an hour

Needs, beside the robot's requirements, what is in training/recogniser/requirements.txt.
"""
