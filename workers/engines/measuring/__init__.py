"""What a CPU can measure in one frame, and the words for it: private to `workers/engines/opencv.py`.

boxes, colours, pixels   numbers about pixels, by pure functions
text, detectors          text, faces and people, by the models that ship in the wheels of RapidOCR and OpenCV
wording                  measurements as the nine fields
observer                 all of it for one picture
"""
